"""The matrix's file for programs, its page for people, and its table for the documentation."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from interop.matrix.page import markdown, page, summary
from interop.matrix.results import Cell, Result, Step, Verdict, from_json, to_json, unfinished

CELL = Cell("strongswan", "psk", "no-nat")
OTHER = replace(CELL, position="client-nat")
CLIENTS = {"strongswan": "strongSwan <5>", "phone": "A phone"}
POSITIONS = {"no-nat": "no NAT", "client-nat": "client behind NAT", "server-nat": "not played"}
ABOUT = {"revision": "abc", "date": "2026-11-26", "kernel": "6.18"}

STOPPED = [
    Result(CELL, Step.CONNECT, Verdict.PASSED, "", 1.25),
    Result(CELL, Step.TRAFFIC, Verdict.FAILED, "TrafficError: <script> & co\nmore", 2.5),
]
STOPPED += unfinished(CELL, list(Step)[2:])
WHOLE = [Result(OTHER, step, Verdict.PASSED, "", 0.5) for step in Step]
WHOLE[3] = Result(OTHER, Step.REKEY_IKE, Verdict.UNABLE, "it never renews Phase 1")
RESULTS = STOPPED + WHOLE


class Squares(HTMLParser):
    """The table's cells, and what is linked or has an anchor."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.classes: list[str] = []
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "td":
            self.classes.append(found.get("class") or "")
        if tag == "a":
            self.links.append(found.get("href") or "")
        if tag == "section":
            self.anchors.append(found.get("id") or "")
        assert tag != "script"

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


def test_what_was_found_survives_the_file_for_programs() -> None:
    assert from_json(to_json(RESULTS, ABOUT)) == (RESULTS, ABOUT)


def test_a_file_of_another_format_is_not_read() -> None:
    with pytest.raises(ValueError, match="format 99"):
        from_json(to_json(RESULTS, ABOUT).replace('"format": 1', '"format": 99'))


def test_the_page_has_a_square_for_each_step_and_a_way_to_each_failure(tmp_path: Path) -> None:
    folder = tmp_path / CELL.folder
    folder.mkdir(parents=True)
    (folder / "gateway-ikev1d.log").write_text("".join(f"line {n}\n" for n in range(100)))
    (folder / "internet.pcap").write_bytes(b"")
    text = page(RESULTS, ABOUT, POSITIONS, CLIENTS, tmp_path)
    seen = Squares(text)

    assert len(seen.classes) == 2 * len(Step)
    assert sum("passed" in name for name in seen.classes) == 1 + len(Step) - 1
    assert sum("failed" in name for name in seen.classes) == 1
    assert sum("unable" in name for name in seen.classes) == 1
    assert "#no-nat-strongswan-psk-traffic" in seen.links
    assert "no-nat-strongswan-psk-traffic" in seen.anchors
    assert "no-nat/strongswan-psk/internet.pcap" in seen.links
    assert any("line 99" in word and "line 59" not in word for word in seen.words)
    assert "&lt;script&gt; &amp; co" in text
    assert "strongSwan <5>" in seen.words
    assert "not played" not in text
    assert "it never renews Phase 1" in text


def test_the_table_says_where_it_stopped() -> None:
    lines = markdown(RESULTS, ABOUT, POSITIONS, CLIENTS).splitlines()
    assert [line for line in lines if line.startswith("|")] == [
        "| client | proof | no NAT | client behind NAT |",
        "| --- | --- | --- | --- |",
        "| strongSwan <5> | psk | ✗ traffic both ways | ✓ 7, 1 not in this client |",
    ]
    assert [line for line in lines if line.startswith("- strongSwan")] == [
        "- strongSwan <5>, psk, no NAT: traffic both ways: TrafficError: <script> & co",
        "- strongSwan <5>: Main Mode rekey: it never renews Phase 1",
    ]
    assert "Date 2026-11-26, commit abc, kernel 6.18." in "\n".join(lines)


def test_the_table_says_where_a_client_gets_nowhere() -> None:
    unable = [Result(CELL, step, Verdict.UNABLE, "it has no NAT traversal") for step in Step]
    lines = markdown(unable, ABOUT, POSITIONS, CLIENTS).splitlines()
    assert "| strongSwan <5> | psk | cannot |" in lines
    (reason,) = [line for line in lines if line.startswith("- strongSwan")]
    assert reason == "- strongSwan <5>: it has no NAT traversal"


def test_what_is_refused_by_design_is_no_failure(tmp_path: Path) -> None:
    refused = [Result(CELL, step, Verdict.REFUSED, "Aggressive Mode") for step in Step]
    lines = markdown(refused, ABOUT, POSITIONS, CLIENTS).splitlines()
    assert "| strongSwan <5> | psk | refused |" in lines
    why = lines[lines.index("## What is refused by design") + 2]
    assert why == "- strongSwan <5>: Aggressive Mode"
    text = page(refused, ABOUT, POSITIONS, CLIENTS, tmp_path)
    assert sum("refused" in name for name in Squares(text).classes) == len(Step)
    assert "What is refused by design" in text
    assert summary(refused) == "0 steps passed, 8 refused"


def test_the_summary_counts() -> None:
    assert summary(RESULTS) == "8 steps passed, 1 failed, 1 unable, 6 not reached"
    assert summary([]) == "0 steps passed"
