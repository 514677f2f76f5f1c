"""Documents of 200,000 characters with what real ones have, and the names in them."""

import random
from itertools import islice

from kcx_jax.corpora import read_records

LENGTH = 200_000
NAMED, CLASSES = 120, ["person", "organization", "location"]
FILES = {"en": "ner/wikineural/en/val.first5000.conllu", "zh": "ner/cluener/dev.json"}
# No corpus at hand is in these languages.
SENTENCES = {
    "ar": [
        "وُلد {} في مدينة {} سنة ١٩٧٣م.", "أعلنت شركة {} اليوم عن أرباحها؛ هل يصدّق {} ذلك؟", "زار الرئيس {} العاصمة {}!",
        "قالت {}: «لن أعود إلى {}»، ثم سكتت.", "كانت السماءُ صافيةً في {} ذلك الصباح", "يعمل {} لدى {} منذ عشرين عامًا.",
    ],
    "th": [
        "{}เกิดที่{}เมื่อปีพ.ศ. ๒๕๑๖ ", "บริษัท{}ประกาศผลกำไรวันนี้ ", "นายกรัฐมนตรี{}เดินทางไปเยือน{}เมื่อวานนี้ ",
        "ฝนตกหนักทั้งคืนที่{}จนน้ำท่วมถนน",
        "{}กล่าวว่าจะไม่กลับไป{}อีกแล้ว ", "ตำรวจจับกุมผู้ต้องสงสัยใกล้กับสำนักงานของ{}",
    ],
}  # fmt: skip
PARTS = {
    "ar": [
        "محمد",
        "علي",
        "القاهرة",
        "بغداد",
        "النيل",
        "فاطمة",
        "الأهرام",
        "دمشق",
        "يُوسُف",
        "الرياض",
        "سَمير",
        "البحر",
    ],
    "th": [
        "สมชาย",
        "สมหญิง",
        "กรุงเทพ",
        "เชียงใหม่",
        "น้ำใส",
        "ไทยรุ่งเรือง",
        "ภูเก็ต",
        "ก้าวหน้า",
        "ปิ่นแก้ว",
        "เจ้าพระยา",
        "ธนากร",
        "ศรีสุข",
    ],
}
MIXED_IN = ["👩\u200d👩\u200d👧", "🇩🇪🇫🇷", "𠮷", "e\u0301a\u0308", "👍🏽", "\u200b", "1\ufe0f\u20e3", "क्षि"]
GAPS = ["\r\n", "\r\n\r\n", "\n", " ", "", "\u2029", "\t"]


def document(language, shared, length=LENGTH):
    """A text of at least so many characters, and class by name of some of what is named in it."""
    generator = random.Random(language)
    sentences, names = _material(language, shared, generator)
    parts, size = [], 0
    while size < length:
        more = [generator.choice(sentences), generator.choice(GAPS)]
        if generator.random() < 0.3:
            more += [generator.choice(MIXED_IN), generator.choice(["", " "])]
        parts += more
        size += sum(map(len, more))
    labels = ["Person", "Organization", "Location"]
    chosen = generator.sample(sorted(names), min(NAMED, len(names)))
    return "".join(parts)[:length], {name: labels[len(name) % 3] for name in chosen}


def _material(language, shared, generator):
    if language in FILES:
        records = list(islice(read_records(shared / "data" / FILES[language], language=language), 300))
        named = {mention.text for record in records for mention in record.entities}
        return [record.text for record in records], {name for name in named if _is_plain(name)}
    joint = "" if language == "th" else " "
    parts = PARTS[language]
    names = [*parts, *(f"{one}{joint}{other}" for one in parts for other in parts if one != other)]
    made = [
        generator.choice(SENTENCES[language]).replace("{}", "\0", 1).replace("{}", generator.choice(names))
        .replace("\0", generator.choice(names))
        for _ in range(1500)
    ]  # fmt: skip
    return made, {name for name in names if _is_plain(name)}


def _is_plain(name):
    """Whether a name is told from its neighbours: it has some length, and does not overlap itself."""
    return 2 <= len(name) <= 100 and not any(name.startswith(name[cut:]) for cut in range(1, len(name)))
