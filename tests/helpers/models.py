"""What tests of models share."""

from torch import nn


class Broken(nn.Module):
    def forward(self, x):
        raise RuntimeError("broken layer")


class Wordy(nn.Module):
    def forward(self, x):
        return "no tensor"


def fingerprint(model):
    """Return what measuring a model must leave alone, as plain values."""
    return {
        "training": [module.training for module in model.modules()],
        "hooks": [
            [dict(getattr(module, kind)) for kind in ("_forward_hooks", "_forward_pre_hooks")]
            for module in model.modules()
        ],
        "gradients": [None if p.grad is None else p.grad.tolist() for p in model.parameters()],
        "requires": [p.requires_grad for p in model.parameters()],
        "state": {name: tensor.tolist() for name, tensor in model.state_dict().items()},
    }
