"""Train a phase diagram on a SLURM cluster, one job per shard; needs `pip install submitit`.

Run it on the login node, in a terminal that stays open (tmux, screen)::

    python examples/sweep_on_slurm.py dropout results/dropout.nc --partition cpu

It waits for the jobs and writes the file. If it is stopped, run it again: finished shards are kept
beside the file. `--cluster local` runs the jobs on this machine, to try it out. Nodes with equal
processors give bit-for-bit the same results as one machine; name such a partition.
"""

import argparse
from pathlib import Path

import submitit

import sbt_utils as sbt

parser = argparse.ArgumentParser(
    description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
)
parser.add_argument("experiment", help="dropout, learning_rate, data_noise or batch_size")
parser.add_argument("out", type=Path, help="the file to write, .nc")
parser.add_argument("--profile", default="paper")
parser.add_argument("--shard-size", type=int, default=10, help="networks per job")
parser.add_argument("--jobs", type=int, default=100, help="jobs that may run at once")
parser.add_argument("--minutes", type=int, default=60, help="time limit of a job")
parser.add_argument("--partition")
parser.add_argument("--cluster", default="slurm", choices=["slurm", "local"])


def main() -> None:
    """Send the shards to the cluster and wait for them."""
    options = parser.parse_args()
    executor = submitit.AutoExecutor(
        folder=options.out.with_suffix(".logs"), cluster=options.cluster
    )
    executor.update_parameters(timeout_min=options.minutes, cpus_per_task=1, mem_gb=4)
    if options.cluster == "slurm":
        executor.update_parameters(slurm_array_parallelism=options.jobs)
        if options.partition:
            executor.update_parameters(slurm_partition=options.partition)
    diagram = sbt.sweep(
        options.experiment,
        options.profile,
        out=options.out,
        executor=executor,
        shard_size=options.shard_size,
    )
    print(diagram)


if __name__ == "__main__":
    main()
