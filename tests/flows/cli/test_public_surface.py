"""Scripts keep working: no command or flag goes, or changes its name, unless somebody decides it."""

from tests.flows.cli.public_surface import LISTING, public_surface


def test_commands_and_flags_are_the_listed_ones() -> None:
    # When this is what you want: python -m tests.flows.cli.public_surface
    assert public_surface().splitlines() == LISTING.read_text().splitlines()
