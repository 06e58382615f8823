"""`copydesk user`: add, list and remove the users of the console."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.exits import print_message
from worker.cli.groups import Group
from worker.cli.recording import record_action
from worker.cli.terminal import plain, print_json
from worker.console.access.users import Role, user_file
from worker.errors import Exit
from worker.settings import settings

Name = Annotated[str, typer.Argument(metavar="NAME", help="letters, digits and . _ @ + -, for example ann")]
Json = Annotated[bool, typer.Option("--json", help="JSON on standard output")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(cls=Group, help="Manage the console's users and their roles.", no_args_is_help=True)
    group.command(epilog="Example: copydesk user add ann --role operator")(add)
    group.command("list", epilog="Example: copydesk user list")(list_)
    group.command(epilog="Example: copydesk user remove ann")(remove)
    app.add_typer(group, name="user")


def add(
    name: Name,
    role: Annotated[Role, typer.Option(help="viewer: reads everything; operator: also acts")] = Role.VIEWER,
    json_: Json = False,
) -> int:
    """Add a user, and print the token with which the user logs in.

    Only the token's digest is stored, so it is shown once. A known user gets a new token and role. As soon as there is a
    user, the console asks for a token.
    """
    token = user_file(settings()).add(name, role)
    record_action("user add", name, f"as {role}")
    if json_:
        print_json({"name": name, "role": str(role), "token": token})
    else:
        typer.echo(token)
        print_message(f"{name} logs in at the console with this token, as {role}. It is not shown again.")
    return Exit.OK


def list_(json_: Json = False) -> int:
    """Show the users with their roles."""
    for user in user_file(settings()).read().values():
        if json_:
            print_json({"name": user.name, "role": str(user.role), "created_at": user.created_at})
        else:
            typer.echo(f"{plain(user.name)}  {user.role}  since {plain(user.created_at)}")
    return Exit.OK


def remove(name: Name) -> int:
    """Remove a user. Open sessions of the user end at once."""
    if not user_file(settings()).remove(name):
        raise typer.BadParameter(f"there is no user {name!r}: copydesk user list")
    record_action("user remove", name)
    typer.echo(f"{name} is removed")
    return Exit.OK
