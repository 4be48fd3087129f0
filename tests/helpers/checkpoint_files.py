"""Checkpoints and archives in files, and a comparison of what comes out of them."""

import io
import zipfile

import torch


def saved(content, folder):
    """Save content as PyTorch does; return the path."""
    path = folder / "model.pt"
    torch.save(content, path)
    return path


def archive(**files):
    """Return a zip archive of these files, compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in files.items():
            file.writestr(name, text)
    return content.getvalue()


def assert_equal(state, expected):
    """Assert that two state_dicts hold the same tensors, in the same order."""
    assert list(state) == list(expected)
    for name, tensor in expected.items():
        assert torch.equal(state[name], tensor), name
