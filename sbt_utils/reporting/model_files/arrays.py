"""Labelled inputs from npz files, without pickle."""

from __future__ import annotations

from os import PathLike

import numpy as np

from sbt_utils.reporting.model_files.regular import LONGEST, ZIP, check_regular
from sbt_utils.text import shown

Arrays = dict[str, np.ndarray]


def load_inputs(path: str | PathLike[str]) -> tuple[np.ndarray, np.ndarray] | Arrays:
    """Read labelled inputs from an npz file, without pickle.

    Parameters
    ----------
    path : path-like
        Written by ``numpy.savez(path, images=..., labels=...)``; or with the arguments that a model
        takes by their names, such as
        ``numpy.savez(path, input_ids=..., attention_mask=..., labels=...)``.

    Returns
    -------
    tuple of ndarray
        Images (N, ...) and labels (N,), where there is an array ``images``; others are left out.
    dict of str to ndarray
        Else all arrays by their names, of N rows each, ``labels`` among them: a model is given the
        rest by keyword.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        No regular file, another kind of file, a damaged one, arrays missing, too large, or of
        objects.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/images.npz", images=np.zeros((4, 1, 2, 2)), labels=[0, 0, 1, 1])
    ...     [array.shape for array in load_inputs(f"{folder}/images.npz")]
    [(4, 1, 2, 2), (4,)]
    """
    remedy = "write it by numpy.savez(path, images=..., labels=...), or with a model's arguments"
    message = f"{shown(path, LONGEST)}: not an npz file of inputs"
    check_regular(path, message, remedy)
    with open(path, "rb") as file:
        try:
            if file.read(len(ZIP)) != ZIP:
                raise ValueError("no archive of arrays")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                names = ["images", "labels"] if "images" in arrays.files else arrays.files
                if "labels" not in arrays.files:
                    raise ValueError("it has no array 'labels'")
                if len(names) < 2:
                    raise ValueError("it has no array beside 'labels'")
                # NumPy reads what a header says, and no checksum unless that is all.
                if damaged := arrays.zip.testzip():
                    raise ValueError(f"{damaged} is damaged")
                found = {name: arrays[name] for name in names}
            for name, array in found.items():
                if not isinstance(array, np.ndarray):  # NumPy returns the bytes of others
                    raise ValueError(f"{shown(repr(name))} is no array")
            return (found["images"], found["labels"]) if "images" in found else found
        except Exception as error:  # damaged files fail in every way
            reason = shown(str(error) or type(error).__name__, LONGEST)
            raise ValueError(f"{message} ({reason}); {remedy}") from error
