"""Random texts as people write them, to compare counts of parts: near the limits, and mixed."""

import random
from collections.abc import Iterator

CHINESE = "警钟长鸣请勿转账到安全账户疑问拨九六刷单都是骗局，。！？“”：、【】"
GSM = (
    "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    ".,!?:;@£$¥èéùìòÇØøÅåÄÖÑÜ§¿äöñüà\n"
)
GSM_EXTENSION = "^{}\\[~]|€"
LATIN = "ąćęłńóśźżšž"
BEYOND = "🔔📣𬭎䶮𠮷"
CLUSTERS = ("e\u0301", "👨\u200d👩\u200d👧", "🇨🇳", "❤\ufe0f", "\r\n")
"""What stays together on a screen although it is several characters."""

ALPHABETS: dict[str, tuple[str, ...]] = {
    "chinese": tuple(CHINESE),
    "gsm": tuple(GSM),
    "gsm and extension": tuple(GSM[:30] + GSM_EXTENSION),
    "chinese and gsm": tuple(CHINESE + GSM),
    "latin": tuple(GSM[:40] + LATIN),
    "beyond the BMP": tuple(CHINESE + BEYOND),
    "clusters": (*CHINESE, *CLUSTERS),
}

_NEAR = (69, 70, 71, 133, 134, 135, 159, 160, 161, 200, 201, 202, 305, 306, 307, 458, 459, 460)


def texts(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """The alphabet and the text; the same for the same seed."""
    choose = random.Random(seed)  # no secret
    names = list(ALPHABETS)
    for n in range(count):
        name = names[n % len(names)]
        near = choose.choice(_NEAR) + choose.randint(-2, 2)
        length = near if choose.random() < 0.7 else choose.randint(0, 520)
        yield name, "".join(choose.choices(ALPHABETS[name], k=length))
