"""A fence in the log: whatever it says, it is JSON that the log schema knows, and it says what was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from acts import attribute, begun, fence_of
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from stores import in_memory

from auditor import schemas
from auditor.errors import InvalidEvent, Refused
from auditor.model.events import FenceKind
from auditor.world import Fence, as_of, from_request, state_updated_at, tail, unfenced
from auditor.world.fences import must_be_valid

LOG = json.loads(schemas.text("log"))
KNOWN = Draft202012Validator({"$ref": "#/$defs/fence", "$defs": LOG["$defs"]})

IDS = st.text(st.characters(categories=["L", "N", "P", "S"], include_characters=" "), min_size=1, max_size=255)
MOMENTS = st.integers(0, 2**48 - 1)
REASONS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
FENCES = (
    st.builds(tail, st.none() | IDS)
    | st.builds(as_of, MOMENTS)
    | st.builds(state_updated_at, MOMENTS)
    | st.builds(unfenced, REASONS)
)
TEXTS = st.text(st.characters())
ANYTHING: Any = st.none() | st.integers() | st.floats() | TEXTS | st.binary() | st.lists(st.none())


@given(fence=FENCES, resolved=st.none() | IDS)
def test_the_text_of_a_fence_is_what_it_says_in_the_words_of_the_schema(
    fence: Fence, resolved: str | None
) -> None:
    must_be_valid(fence)
    text = fence.text(resolved)
    said = json.loads(text)
    KNOWN.validate(said)
    expected = {"kind": fence.kind, "value": fence.value, "resolved": resolved, "reason": fence.reason}
    assert said == {key: value for key, value in expected.items() if value is not None or key == "value"}
    # It is stored as text, and so must survive UTF-8 and a store that knows no U+0000.
    assert text.encode().decode() == text
    assert "\0" not in text
    assert "\n" not in text


@given(fence=st.builds(Fence, kind=st.sampled_from(FenceKind), value=ANYTHING, reason=ANYTHING))
def test_a_fence_made_of_anything_is_valid_in_the_words_of_the_schema_or_invalid(fence: Fence) -> None:
    try:
        must_be_valid(fence)
    except InvalidEvent:
        return
    KNOWN.validate(json.loads(fence.text()))


@given(event_id=st.none() | IDS, moment=st.none() | MOMENTS, state=st.none() | MOMENTS)
def test_a_request_means_the_strongest_of_its_fences(
    event_id: str | None, moment: int | None, state: int | None
) -> None:
    fence = from_request(event_id, moment, state)
    if event_id is not None:
        assert fence == tail(event_id)
    elif moment is not None:
        assert fence == as_of(moment)
    elif state is not None:
        assert fence == state_updated_at(state)
    else:
        assert fence is None


@pytest.mark.parametrize("moment", [-1, 2**48, 2**64])
def test_a_moment_that_fits_into_no_id_is_invalid(moment: int) -> None:
    for fence in (as_of(moment), state_updated_at(moment)):
        with pytest.raises(InvalidEvent, match="milliseconds since 1970"):
            must_be_valid(fence)


@given(fence=st.none() | FENCES)
@settings(max_examples=200, deadline=None)
async def test_what_was_sent_is_in_the_log_or_in_the_journal(fence: Fence | None) -> None:
    async with in_memory().opened() as harness:
        run = await begun(harness.world)
        try:
            (row,) = (await run.append(attribute(), fence=fence)).events
        except InvalidEvent:
            # A moment in the future of the store.
            assert fence is not None
            assert fence.kind is FenceKind.AS_OF
            assert await run.refusals() == []
            return
        except Refused:
            (row,) = await run.refusals()  # type: ignore[assignment]
        assert (row.fence is None) == (fence is None)
        if fence is not None:
            said = fence_of(row)
            assert (said["kind"], said["value"]) == (fence.kind, fence.value)
            assert said.get("reason") == fence.reason
