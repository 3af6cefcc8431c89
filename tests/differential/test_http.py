"""HTTP streams, well-formed and not: the same messages and errors on both cores, however they are cut."""

from __future__ import annotations

from cores import CORES, load_core
from http_kit import parsed, places, single_bytes, streams
from hypothesis import given
from hypothesis import strategies as st
from parser_kit import cut

# Short limits, so that they meet often.
LIMITS = {"max_line": 40, "max_head": 120, "max_headers": 4, "max_body": 12}


def parser(core, kind, streaming, limits):
    package = load_core(core).http
    return getattr(package, kind)(streaming=streaming, **limits)


def agree(kind, data, places, eof, limits):
    for streaming in (False, True):
        expected = parsed(parser("pure", kind, streaming, limits), [data], eof)
        for core in CORES:
            for pieces in ([data], single_bytes(data), cut(data, places)):
                assert parsed(parser(core, kind, streaming, limits), pieces, eof) == expected


@given(data=streams, places=places, eof=st.booleans(), limits=st.sampled_from([LIMITS, {}]))
def test_any_requests_any_cut_any_core(data, places, eof, limits):
    agree("RequestParser", data, places, eof, limits)


@given(data=streams, places=places, eof=st.booleans(), limits=st.sampled_from([LIMITS, {}]))
def test_any_responses_any_cut_any_core(data, places, eof, limits):
    agree("ResponseParser", data, places, eof, limits)
