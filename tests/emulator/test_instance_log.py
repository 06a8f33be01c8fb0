from __future__ import annotations

import asyncio

from chutes_wrappers.emulator.instance_log import MAX_LINE_LENGTH, MAX_LINES, InstanceLog


async def test_every_reader_gets_every_line_and_ends_with_the_log() -> None:
    log = InstanceLog()
    log.append("before")

    async def read() -> list[str]:
        return [line async for line in log.follow()]

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.sleep(0)
    log.append("after")
    await asyncio.sleep(0)
    log.append("last")
    log.close()
    assert await asyncio.gather(*readers) == [["before", "after", "last"]] * 2
    assert await read() == ["before", "after", "last"]


async def test_the_log_is_bounded() -> None:
    log = InstanceLog()
    for number in range(MAX_LINES + 10):
        log.append(f"{number}" + "x" * 10_000)
    log.close()
    lines = [line async for line in log.follow()]
    assert (len(lines), lines[0][:3], len(lines[0])) == (MAX_LINES, "10x", MAX_LINE_LENGTH)
    assert log.tail(2).splitlines() == lines[-2:]


async def test_a_reader_may_begin_with_the_last_lines() -> None:
    log = InstanceLog()
    for number in range(MAX_LINES + 3):
        log.append(str(number))
    log.close()
    assert [line async for line in log.follow(2)] == [str(MAX_LINES + 1), str(MAX_LINES + 2)]
    assert [line async for line in log.follow(0)] == []
    assert len([line async for line in log.follow(MAX_LINES * 2)]) == MAX_LINES
