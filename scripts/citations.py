"""How the paper and this companion are cited, as BibTeX and as RIS.

What is cited stands in book/references.bib and CITATION.cff; scripts/stage.py writes the files.
"""

import re
from pathlib import Path
from typing import Any

import yaml
from address import ROOT, book_url
from pybtex.database import BibliographyData, Entry, Person, parse_file

PAPER, COMPANION = "shi2025spring", "sbt_utils"
RIS_TYPES = {"article": "JOUR", "misc": "COMP"}
RIS_TAGS = {"title": "TI", "journal": "JO", "year": "PY", "doi": "DO", "version": "ET", "url": "UR"}


def entries(url: str) -> dict[str, Entry]:
    """Return the entries of the paper and of the companion, whose repository is at `url`."""
    paper = parse_file(str(ROOT / "book/references.bib")).entries[PAPER]
    about = _read("CITATION.cff")
    fields = {"title": f"{{{about['title']}}}", "year": _read("_config.yml")["copyright"]}
    fields |= {"version": about["version"], "note": f"Version {about['version']}"}
    if url:
        fields["url"] = book_url(url)
    names = [Person(last=f"{{{author['name']}}}") for author in about["authors"]]
    return {PAPER: paper, COMPANION: Entry("misc", fields, {"author": names})}


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return content


def bibtex(key: str, entry: Entry) -> str:
    """Return an entry as BibTeX."""
    text: str = BibliographyData({key: entry}).to_string("bibtex")
    return text.strip() + "\n"


def ris(entry: Entry) -> str:
    """Return an entry as RIS, which reference managers read."""
    lines = [("TY", RIS_TYPES[entry.type])]
    lines += [("AU", str(person)) for person in entry.persons["author"]]
    fields = {"url": f"https://doi.org/{entry.fields['doi']}"} if "doi" in entry.fields else {}
    fields |= dict(entry.fields)
    lines += [(tag, fields[name]) for name, tag in RIS_TAGS.items() if name in fields]
    lines.append(("ER", ""))
    return "".join(f"{tag}  - {re.sub('[{}]', '', value)}\n" for tag, value in lines)


def write(folder: Path, url: str) -> None:
    """Write both entries into a folder in both formats."""
    folder.mkdir(parents=True, exist_ok=True)
    for key, entry in entries(url).items():
        (folder / f"{key}.bib").write_text(bibtex(key, entry), encoding="utf-8")
        (folder / f"{key}.ris").write_text(ris(entry), encoding="utf-8")
