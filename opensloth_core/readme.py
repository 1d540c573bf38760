"""Where README tells more than a message can."""

DEPLOYMENTS = "deployments/README"


def more_in_readme(section: str, of: str = "README") -> str:
    """What ends a message that has a longer story.

    Args:
        section: a heading of that file, word for word.
        of: which file, from the top of the project and without its ending.
    """
    return f" ({of}: {section})"
