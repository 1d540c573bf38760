"""Rows whose tokens are easily counted where every byte is a token."""

TOKENS_AROUND = 1 + 5 + 1 + 1 + 1 + 10 + 1 + 1
"""Around question and answer: <|im_start|> user, newline; <|im_end|>, newline; the same of the assistant."""


def question(number: int | str) -> dict[str, str]:
    return {"question": f"What is {number}?", "answer": f"It is {number}."}


def text_of(number: int | str) -> str:
    return (
        f"<|im_start|>user\nWhat is {number}?<|im_end|>\n<|im_start|>assistant\nIt is {number}.<|im_end|>\n"
    )
