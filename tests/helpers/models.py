"""What tests of models share."""


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
