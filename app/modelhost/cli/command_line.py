"""A command that remembers how it was typed, for errors that say what to add to it."""

import shlex

import click

ARGUMENTS = "modelhost.arguments"


class RememberedCommand(click.Command):
    """Keeps its arguments as they were typed."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See click."""
        ctx.meta[ARGUMENTS] = list(args)
        return super().parse_args(ctx, args)


def command_with(option: str) -> str:
    """The command under way as it was typed, with `option` behind its own."""
    context = click.get_current_context()
    arguments: list[str] = context.meta[ARGUMENTS]
    end = arguments.index("--") if "--" in arguments else len(arguments)  # behind it there are no options
    return shlex.join([*context.command_path.split(), *arguments[:end], option, *arguments[end:]])
