"""What the driver asks the server about the types of values, and when."""

from typing import Any

from service.storage.postgres import Connection, connected

ARRAYS = """
SELECT $1::smallint[] AS small, $2::uuid[] AS ids, $3::jsonb[] AS documents, $4::bytea[] AS octets
"""
VALUES: tuple[Any, ...] = ([1, 2], [], [{"a": 1}], [b"\x00"])


def logged(connection: Any) -> list[str]:
    """The statements of a connection from now on, those that the driver makes itself included."""
    statements: list[str] = []
    connection.add_query_logger(lambda record: statements.append(record.query))
    return statements


async def ask(connection: Connection) -> list[Any]:
    row = await connection.fetchrow(ARRAYS, *VALUES)
    assert row is not None
    return list(row.values())


async def test_a_process_asks_once_what_a_built_in_array_is_made_of(database_url: str) -> None:
    async with connected(database_url) as first:
        assert await ask(first) == list(VALUES)
    async with connected(database_url) as second:
        statements = logged(second)
        assert await ask(second) == list(VALUES)
    assert statements == [ARRAYS]


async def test_a_type_of_ours_is_asked_for_on_each_connection(
    database_url: str, owner: Connection
) -> None:
    """Its number may be that of another type in another database."""
    await owner.execute("CREATE TYPE colour AS ENUM ('red', 'green')")
    for _ in range(2):
        async with connected(database_url) as connection:
            statements = logged(connection)
            value = await connection.fetchval("SELECT ARRAY['red']::colour[]")
            assert value == ["red"]
            assert any("typeinfo_tree" in statement for statement in statements)
