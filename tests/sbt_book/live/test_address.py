"""Settings in the fragment of an address: what goes in comes out, and nothing else does."""

import random

import pytest
from node import functions_of

run = functions_of("shared/address.js")
# A model that says what is set, and whose values are checked against its fields after each reading.
MODEL = """
const fields = {
  axis: { options: ["a fact", "b/c", "ünï"] },
  noise: { min: 0, max: 0.01 },
  blocks: { min: 1, max: 20, integer: true },
  rate: { levels: () => (model.get("axis") === "b/c" ? [8, 16] : [0, 1e-4, 0.5]) },
  common: { flag: true },
  seed: { min: 0, integer: true },
};
const start = { axis: "a fact", noise: 0.003, blocks: 7, rate: 1e-4, common: true, seed: 0 };
const values = new Map([...Object.entries(start), ["positions", "mine"]]);
const model = { get: (name) => values.get(name), set: (name, value) => values.set(name, value) };
function take(fragment) {
  const found = settingsIn(fragment, "chain", fields);
  const refused = takeSettings(model, found?.texts ?? new Map(), fields, start);
  return { found, words: refusalWords([...(found?.refused ?? []), ...refused]) };
}
"""
START = {"axis": "a fact", "noise": 0.003, "blocks": 7, "rate": 1e-4, "common": True, "seed": 0}


def taken(*fragments):
    """Return the values and the words after each of the fragments."""
    body = f"{MODEL} return fragments.map((each) => {{ const {{ words }} = take(each);"
    body += " return [Object.fromEntries(values), words]; });"
    return run(f"(() => {{ {body} }})()", fragments=fragments)


def test_what_is_written_is_read():
    fragment = "chain=axis:b%2Fc,noise:0.0061,blocks:12,rate:16,common:0,seed:123456789012"
    ((values, words),) = taken(fragment)
    assert values == {
        **{"axis": "b/c", "noise": 0.0061, "blocks": 12, "rate": 16},
        **{"common": False, "seed": 123456789012, "positions": "mine"},
    }
    assert words == ""
    written = run(
        "values.map(([value, field]) => writtenSetting(value, field))",
        values=[
            *([0.1 + 0.2, {}], [0.0061, {}], [1e-7, {}], [123456789012, {"integer": True}]),
            *([-0.5, {}], [True, {"flag": True}], ["a fact", {"options": []}]),
        ],
    )
    assert written == ["0.3", "0.0061", "1e-7", "123456789012", "-0.5", "1", "a%20fact"]


def test_numbers_survive_to_nine_digits():
    drawn = random.Random(1)
    numbers = [drawn.uniform(-1, 1) * 10 ** drawn.randint(-8, 8) for _ in range(500)]
    found = run("numbers.map((x) => readSetting(writtenSetting(x, {}), {}))", numbers=numbers)
    assert found == pytest.approx(numbers, rel=1e-8)


@pytest.mark.parametrize(
    ("fragment", "expected", "said"),
    [
        ("chain=noise:0.5", {"noise": 0.01}, "noise:0.5 (0.01 instead)"),
        ("chain=blocks:-3", {"blocks": 1}, "blocks:-3 (1 instead)"),
        ("chain=blocks:2.5", {}, "blocks:2.5 (left out)"),
        ("chain=seed:1e300", {}, "seed:1e300 (left out)"),
        ("chain=noise:NaN", {}, "noise:NaN (left out)"),
        ("chain=noise:Infinity", {}, "noise:Infinity (left out)"),
        ("chain=noise:1e999", {}, "noise:1e999 (left out)"),
        ("chain=noise:0x1", {}, "noise:0x1 (left out)"),
        ("chain=noise:", {}, "noise: (left out)"),
        ("chain=noise", {}, "noise (left out)"),
        ("chain=rate:0.4", {}, "rate:0.4 (left out)"),
        ("chain=axis:poem", {}, "axis:poem (left out)"),
        ("chain=common:yes", {}, "common:yes (left out)"),
        ("chain=colour:red,noise:0.001", {"noise": 0.001}, "colour:red (left out)"),
        ("chain=noise:0.001,noise:0.002", {"noise": 0.001}, "noise:0.002 (left out)"),
        ("chain=__proto__:1,constructor:2", {}, "__proto__:1 (left out), constructor:2"),
        ("chain=%E0%A4%A,noise:0.001", {"noise": 0.001}, "%E0%A4%A (left out)"),
        ("chain=a,b,c,d,e", {}, ", and 2 more."),
        ("chain=noise%3A0.002%2Cblocks%3A5", {"noise": 0.002, "blocks": 5}, ""),
        ("a-section&ruler=noise:0&chain=blocks:5", {"blocks": 5}, ""),
        ("chain=rate:0", {"rate": 0}, ""),
        ("chain=", {}, ""),
        ("chain", {}, ""),
        ("a-section", {}, ""),
    ],
)
def test_what_is_not_offered_is_named(fragment, expected, said):
    ((values, words),) = taken(fragment)
    assert values == {**START, **expected, "positions": "mine"}
    assert said in words
    assert bool(words) == bool(said)
    assert len(words) < 300


@pytest.mark.parametrize(
    ("before", "settings", "after"),
    [
        ("", "noise:0", "chain=noise:0"),
        ("a-section", "noise:0", "a-section&chain=noise:0"),
        ("a-section&chain=noise:0", "", "a-section"),
        ("chain=noise:0&ruler=speed:1", "noise:1", "chain=noise:1&ruler=speed:1"),
        ("ruler=speed:%zz&chain=a&chain=b&x", "", "ruler=speed:%zz&x"),
        ("chain=noise:0", "", ""),
    ],
)
def test_the_rest_of_the_fragment_stays(before, settings, after):
    found = run("withSettings(before, 'chain', settings)", before=before, settings=settings)
    assert found == after


def hostile(drawn):
    """Return a fragment that nobody means well with: pieces of valid ones, or of nothing."""
    pieces = ["chain", "ruler", "noise", "blocks", "axis", "rate", "common", "seed", "positions"]
    pieces += ["=", ":", ",", "&", "#", "?", "=", ":", ",", "chain=", "%", "%00", "%zz", "%F0%9F"]
    pieces += ["__proto__", "constructor", "toString", "prototype", "hasOwnProperty", "valueOf"]
    pieces += [
        "NaN",
        "-Infinity",
        "1e999",
        "-1e-999",
        "0.001",
        "7",
        "-0",
        "0x10",
        "1_0",
        "١",
        "9" * 400,
    ]
    pieces += [
        "<img src=x onerror=alert(1)>",
        "javascript:alert(1)",
        "\ud800",
        "\u202e",
        "💥",
        "\0",
    ]
    pieces += [
        "a fact",
        "b%2Fc",
        "null",
        "undefined",
        "[object Object]",
        "${model}",
        "../../",
        "x" * 5000,
    ]
    words = drawn.choices(pieces, k=drawn.randint(0, 14))
    return drawn.choice(["", "chain=", "chain=noise:"]) + "".join(words)


def test_a_thousand_hostile_fragments_change_nothing_but_the_fields():
    drawn = random.Random(0)
    fragments = [hostile(drawn) for _ in range(1000)]
    body = """
      const fine = {
        axis: (value) => fields.axis.options.includes(value),
        noise: (value) => value >= 0 && value <= 0.01,
        blocks: (value) => Number.isInteger(value) && value >= 1 && value <= 20,
        rate: (value) => [0, 1e-4, 0.5, 8, 16].includes(value),
        common: (value) => typeof value === "boolean",
        seed: (value) => Number.isSafeInteger(value) && value >= 0,
        positions: (value) => value === "mine",
      };
      const names = Object.keys(fine).join();
      const plain = Object.getOwnPropertyNames(Object.prototype).join();
      return fragments.map((fragment) => {
        const { found, words } = take(fragment);
        const kept = withSettings(fragment, "chain", "noise:0");
        const wrong = Object.keys(fine).filter((name) => !fine[name](values.get(name)));
        if ([...values.keys()].join() !== names) wrong.push("names");
        if (Object.getOwnPropertyNames(Object.prototype).join() !== plain) wrong.push("prototype");
        if (words.length > 400) wrong.push("words");
        if (settingsIn(kept, "chain", fields)?.texts.get("noise") !== "0") wrong.push("written");
        return [found !== null, wrong];
      });"""
    found = run(f"(() => {{ {MODEL} {body} }})()", fragments=fragments)
    assert [wrong for _, wrong in found if wrong] == []
    assert sum(spoken for spoken, _ in found) > 500
