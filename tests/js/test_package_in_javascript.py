"""The package in `js/` beside Python, in Node and in Chromium: answers, galleries that go from one to the other, and errors."""

from __future__ import annotations

import base64
import io
import json
import subprocess

import numpy as np
import pytest
from PIL import Image

from oneshot_runtime import OneShotMatcher
from oneshot_runtime.model.bundle import Bundle
from oneshot_runtime.model.codes import encode
from oneshot_runtime.model.thresholds import ThresholdTable
from oneshot_runtime.transfer.npz import export_npz, import_npz
from tests.js_engine import JavaScriptError, chromium_engine, labelled, readings_of, received, sent, vectors, written
from tests.page_driver import ROOT

TAUGHT = 12
FAR = 0.05


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    return vectors()


@pytest.fixture(scope="module")
def taught(images) -> dict[str, np.ndarray]:
    return {f"symbol {place}": images[place] for place in range(TAUGHT)}


@pytest.fixture(scope="module")
def knowing(taught) -> OneShotMatcher:
    matcher = OneShotMatcher.load(precision="fp32", threads=1, far=FAR)
    for label, image in taught.items():
        matcher.enroll(label, image)
    return matcher


def assert_matches(found, expected) -> None:
    assert [match["label"] for match in found] == [match.label for match in expected]
    for match, other in zip(found, expected, strict=True):
        assert match["probably"] == other.probably
        assert (match["symbols"], match["readings"]) == (other.symbols, other.readings)
        assert match["threshold"] == pytest.approx(other.threshold, abs=1e-9)
        assert match["probability"] == pytest.approx(other.probability, abs=1e-6)
        assert [one["label"] for one in match["candidates"]] == [one.label for one in other.candidates]
        for one, pythons in zip(match["candidates"], other.candidates, strict=True):
            assert one["probability"] == pytest.approx(pythons.probability, abs=1e-6)


def test_the_golden_images_have_pythons_codes(engine) -> None:
    bundle = OneShotMatcher.load(precision="fp32", threads=1).bundle
    golden = bundle.golden()
    canvases = [base64.b64encode(canvas.tobytes()).decode() for canvas in golden.images[:12]]
    found = engine.ask("graphs", precision="fp32", canvases=canvases)
    np.testing.assert_allclose(found["rows"], golden.embeddings[:12], atol=1e-5)
    np.testing.assert_array_equal(found["codes"], encode(golden.embeddings[:12], bundle.head))
    np.testing.assert_allclose(np.reshape(found["probabilities"], (12, 12)), golden.probabilities[:12, :12], atol=1e-5)


def test_answers_are_pythons(engine, images, taught, knowing) -> None:
    rng = np.random.default_rng(8)
    queries = [*images[::2], *(written(place, rng, 0.03, 180) for place in range(20))]
    expected = knowing.match_batch(queries)
    found = engine.ask("matches", options={"precision": "fp32"}, taught=labelled(taught), images=[sent(one) for one in queries])
    assert found["labels"] == knowing.labels
    assert_matches(found["matches"], expected)
    assert {match.label for match in expected} >= {None, *taught}


def test_the_small_graph_is_taken_where_it_is_right_and_answers_alike(engine, images, taught, knowing) -> None:
    queries = images[:20]
    found = engine.ask("matches", options={}, taught=labelled(taught), images=[sent(one) for one in queries])
    assert found["precision"] == "int8"
    expected = knowing.match_batch(queries)
    same = sum(match["label"] == other.label for match, other in zip(found["matches"], expected, strict=True))
    assert same >= 19


def test_several_pictures_of_a_symbol_rank_as_in_python(engine, images) -> None:
    rng = np.random.default_rng(2)
    shots = [(f"symbol {place}", written(place, rng, 0.03, 105)) for place in range(6) for _ in range(3)]
    shots += [("symbol 7", written(7, rng, 0.03, 105))]
    matcher = OneShotMatcher.load(precision="fp32", threads=1, far=0.01)
    for label, image in shots:
        matcher.enroll(label, image)
    queries = [written(place, rng, 0.03, 140) for place in range(10)]
    pairs = [{"label": label, "image": sent(image)} for label, image in shots]
    options = {"precision": "fp32", "far": 0.01}
    found = engine.ask("matches", options=options, taught=pairs, images=[sent(one) for one in queries])
    assert_matches(found["matches"], matcher.match_batch(queries))


def test_thresholds_are_pythons_at_every_size_and_rate(engine) -> None:
    table = Bundle.open(None).manifest["thresholds"]
    several = [{**row, "by_supports": {"5": {rate: logit + 1 for rate, logit in row["logits"].items()}}} for row in table]
    rates, sizes = (0.05, 0.03, 0.01, 0.002, 0.001), (1, 2, 3, 7, 20, 100, 5000)
    cases = [(far, classes, supports) for far in rates for classes in sizes for supports in (1, 1.5, 5, 9)]
    for rows in (table, several):
        logits = [ThresholdTable.from_list(rows).logit(*case) for case in cases]
        assert engine.ask("thresholds", table=rows, cases=cases) == pytest.approx(
            1 / (1 + np.exp(-np.array(logits))), abs=1e-12
        )


def test_a_page_is_read_as_in_python(engine, taught, knowing) -> None:
    rng = np.random.default_rng(5)
    page = np.block([[written(place + 4 * row, rng, 0.04, 120) for place in range(4)] for row in range(2)])
    expected = knowing.read(page)
    assert len(expected) == 8
    found = engine.ask("read", options={"precision": "fp32"}, taught=labelled(taught), page=sent(page))
    assert [one["box"] for one in found] == [list(one.box) for one in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(received(one["crop"]), other.crop)
    assert_matches([one["match"] for one in found], [one.match for one in expected])


def test_a_gallery_goes_to_python_and_back(engine, tmp_path, images, taught, knowing) -> None:
    named = {"\u05d0 alef": images[14], **taught, "a/b <i>": images[15], "\U0001f600": images[16]}
    archive = engine.ask(
        "exported", options={"precision": "fp32"}, taught=labelled(named), metadata={"by": "Ada", "page": [1, {"é": None}]}
    )
    (tmp_path / "from-js.npz").write_bytes(base64.b64decode(archive))
    with OneShotMatcher.load(precision="fp32", threads=1, gallery=tmp_path / "g.db") as matcher:
        assert import_npz(matcher.gallery, matcher.bundle, tmp_path / "from-js.npz") == len(named) + 1
        assert matcher.labels == list(named)
        supports = matcher.gallery.supports("\u05d0 alef")
        assert [support.metadata for support in supports] == [None, {"by": "Ada", "page": [1, {"é": None}]}]
        codes = encode(matcher.embed(list(named.values())), matcher.bundle.head)
        np.testing.assert_array_equal([matcher.gallery.codes(label)[0] for label in named], codes)
        small = Image.open(io.BytesIO(supports[0].thumbnail))
        np.testing.assert_array_equal(np.asarray(small), readings_of(images[14], matcher.bundle.spec)[0]["drawing"])
        export_npz(tmp_path / "g.db", tmp_path / "from-python.npz")
        queries = list(named.values())
        expected = matcher.match_batch(queries)
    back = base64.b64encode((tmp_path / "from-python.npz").read_bytes()).decode()
    found = engine.ask("imported", options={"precision": "fp32"}, archive=back, images=[sent(one) for one in queries])
    assert (found["added"], found["labels"]) == (len(named) + 1, list(named))
    assert_matches(found["matches"], expected)
    assert found["supports"][-1]["metadata"] == {"by": "Ada", "page": [1, {"é": None}]}
    assert base64.b64decode(found["supports"][0]["thumbnail"]).startswith(b"\x89PNG")


def archived(**arrays) -> str:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return base64.b64encode(file.getvalue()).decode()


def test_damaged_and_foreign_archives_are_refused_and_change_nothing(in_node) -> None:
    bundle = OneShotMatcher.load(precision="fp32", threads=1).bundle
    good = {"version": np.array(1), "fingerprint": np.array(bundle.fingerprint), "labels": np.array(["a", "b"])}
    good["codes"] = np.zeros((2, bundle.dim), np.uint8)
    whole = base64.b64decode(archived(**good))
    flipped = bytearray(whole)
    flipped[whole.index(b"codes.npy") + 40] ^= 255
    sizes = {"thumbnails": np.zeros(4, np.uint8), "thumbnail_sizes": np.array([9, -5])}
    damaged = {
        "no zip archive": base64.b64encode(b"nothing" * 20).decode(),
        "cut off": base64.b64encode(whole[:-30]).decode(),
        "damaged": base64.b64encode(bytes(flipped)).decode(),
        "other": archived(**{**good, "fingerprint": np.array("other")}),
        "version 2": archived(**{**good, "version": np.array(2)}),
        "expected fingerprint": archived(labels=good["labels"]),
        "shape": archived(**{**good, "codes": np.zeros((3, bundle.dim), np.uint8)}),
        "is not read": archived(**{**good, "codes": np.zeros((2, bundle.dim), np.int16)}),
        "U\\+0007": archived(**{**good, "labels": np.array(["a", "b\x07"])}),
        "outside -1": archived(**good, **sizes),
        "metadata cannot be read": archived(**good, metadata=np.array([91, 93], np.uint8), metadata_sizes=np.array([2, -1])),
        "come together": archived(**good, thumbnails=np.zeros(4, np.uint8)),
        "not finite|does not fit": archived(**good, created=np.array([1.0, np.nan])),
        "zip bomb": archived(**good, thumbnails=np.zeros(1 << 27, np.uint8), thumbnail_sizes=np.array([1 << 26] * 2)),
    }
    for message, archive in damaged.items():
        with pytest.raises(JavaScriptError, match=message):
            in_node.ask("imported", options={"precision": "fp32"}, archive=archive, images=[])
    assert in_node.ask("imported", options={"precision": "fp32"}, archive=archived(**good), images=[])["added"] == 2
    embeddings = {**good, "embeddings": np.full((2, bundle.dim), 0.5, np.float32)}
    del embeddings["codes"]
    assert in_node.ask("imported", options={"precision": "fp32"}, archive=archived(**embeddings), images=[])["added"] == 2


def test_picture_files_are_read_in_node_and_a_gallery_outlives_the_process(in_node, tmp_path, images, knowing) -> None:
    turned, exif = Image.fromarray(np.rot90(images[0]).copy()), Image.Exif()
    exif[0x0112] = 6  # stored turned, and told to be turned back
    turned.save(tmp_path / "turned.png", exif=exif.tobytes())
    Image.fromarray(images[1]).save(tmp_path / "grey.png")
    Image.fromarray(images[2]).convert("1").save(tmp_path / "one-bit.tif")
    Image.fromarray(images[40 if images[40].ndim == 3 else -10]).save(tmp_path / "colour.png")
    (tmp_path / "none.png").write_bytes(b"no picture")
    program = """
      const { folder } = values;
      const first = await load({ precision: "fp32", gallery: `${folder}/letters.npz` });
      for (const name of ["turned.png", "grey.png", "one-bit.tif", "colour.png"]) await first.enroll(name, `${folder}/${name}`);
      await first.remove("colour.png");
      await first.close();
      const second = await load({ precision: "fp32", gallery: `${folder}/letters.npz` });
      const bytes = (await import("node:fs")).readFileSync(`${folder}/grey.png`);
      const bad = await second.match(`${folder}/none.png`).catch((error) => `${error.name}: ${error.message}`);
      const far = await load({ far: 2 }).catch((error) => error.name);
      const gone = await second.remove("nobody").catch((error) => error.name);
      const nameless = await second.enroll(" ", bytes).catch((error) => error.name);
      return { labels: second.labels, found: (await second.match(bytes)).label, bad, far, gone, nameless };
    """
    found = in_node.ask("run", program=program, values={"folder": str(tmp_path)})
    assert found["labels"] == ["turned.png", "grey.png", "one-bit.tif"]
    assert found["found"] == "grey.png"
    assert found["bad"].startswith(f"ImageError: image '{tmp_path}/none.png' cannot be read")
    assert (found["far"], found["gone"], found["nameless"]) == ("OptionError", "LabelError", "LabelError")
    with OneShotMatcher.load(precision="fp32", threads=1) as matcher:
        import_npz(matcher.gallery, matcher.bundle, tmp_path / "letters.npz")
        for name in found["labels"]:
            matcher.enroll("python", tmp_path / name)
        np.testing.assert_array_equal(
            matcher.gallery.codes("python"), [matcher.gallery.codes(name)[0] for name in found["labels"]]
        )


def test_calls_at_the_same_time_do_not_disturb_each_other(in_node, tmp_path, images) -> None:
    program = """
      const { folder, images } = values;
      const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const pictures = images.map(({ data, ...size }) => ({ data: bytes(data), ...size }));
      const matcher = await load({ gallery: `${folder}/many.npz`, far: null });
      const refused = matcher.enroll("bad", pictures[0], { metadata: ["no object"] }).catch((error) => error.name);
      await Promise.all(pictures.map((picture, at) => matcher.enroll(`s${at}`, picture)));
      const kept = (await load({ gallery: `${folder}/many.npz` })).labels;
      const matches = await Promise.all(pictures.map((picture) => matcher.match(picture)));
      await Promise.all([matcher.remove("s1"), matcher.remove("s2")]);
      return { kept, found: matches.map(({ label }) => label), left: matcher.labels, refused: await refused };
    """
    found = in_node.ask("run", program=program, values={"folder": str(tmp_path), "images": [sent(one) for one in images[:6]]})
    names = [f"s{place}" for place in range(6)]
    assert sorted(found["kept"]) == names
    assert found["found"] == names
    assert sorted(found["left"]) == ["s0", *names[3:]]
    assert found["refused"] == "GalleryError"


def test_in_chromium_too_matches_at_the_same_time_are_right(chromium, url, images) -> None:
    chromium.get(url)
    pictures = [sent(one) for one in images[:4]]
    taught = [{"label": f"s{place}", "image": image} for place, image in enumerate(pictures)]
    found = chromium_engine(chromium).ask(
        "together", options={"precision": "fp32", "far": None}, taught=taught, images=pictures * 2
    )
    assert found == ["s0", "s1", "s2", "s3"] * 2


def test_a_damaged_bundle_is_refused(in_node, tmp_path) -> None:
    bundle = ROOT / "oneshot_runtime" / "models" / "edge"
    for path in bundle.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    program = "return load({ bundle: values.folder, precision: 'fp32' }).then(() => 'loaded', (error) => `${error}`)"

    def loaded() -> str:
        return str(in_node.ask("run", program=program, values={"folder": str(tmp_path)}))

    assert loaded() == "loaded"
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "preprocess": {**manifest["preprocess"], "version": 1}}))
    assert loaded().startswith("BundleError: the model was made for version 1")
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "head.onnx").write_bytes((tmp_path / "head.onnx").read_bytes() + b"x")
    assert "head.onnx is not the file" in loaded()
    (tmp_path / "golden.npz").unlink()
    assert loaded().startswith("BundleError: the bundle is incomplete")


def test_a_program_that_installed_it_finds_it_by_its_name(package) -> None:
    program = """
      import { load, ImageError } from "oneshot-runtime";
      import { pictureOf, symbolsOfPage } from "oneshot-runtime/vision";
      const matcher = await load();
      const page = { data: new Uint8Array(40 * 90).fill(250), width: 90, height: 40 };
      for (let y = 5; y < 35; y++) for (const x of [10, 11, 12, 70, 71, 72]) page.data[90 * y + x] = 10;
      const counts = [symbolsOfPage(pictureOf(page)), await matcher.read(page)].map((found) => found.length);
      const blank = { data: new Uint8Array(100), width: 10, height: 10 };
      const refused = await matcher.match(blank).catch((error) => error instanceof ImageError);
      console.log(matcher.precision, ...counts, refused);
    """
    command = ["node", "--input-type=module", "--eval", program]
    done = subprocess.run(command, cwd=package.parent.parent, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("int8 2 2 true\n", "")


def test_the_types_hold_what_the_readme_shows(modules) -> None:
    command = ["node", str(modules / "typescript" / "bin" / "tsc"), "--project", str(ROOT / "tests" / "js" / "tsconfig.json")]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
