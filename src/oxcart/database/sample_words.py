"""The words that the sample club is made of."""

# ruff: noqa: RUF001  # names and texts hold look-alike letters on purpose, as people's do

from __future__ import annotations

PLACES = (
    "Aldermoor", "Brightwater", "Carrowmore", "Dunhaven", "Eastlake", "Fjordvik", "Granvia",
    "Hohenfels", "Inverlochy", "Jasper Hill", "Kestrel Bay", "Lindenau", "Montclair", "Nordheim",
    "Oakridge", "Port Albion", "Queensferry", "Rosslyn", "São Bento", "Tarnów", "Ulvaton",
    "Västerby", "Westmarch", "Yarrow", "Zürichberg", "Ashgrove", "Bellevue", "Copperfield",
    "Drumlin", "Elmsworth", "Foxglove", "Glenmore", "Harrowgate", "Ivywood", "Kingsmead",
    "Larkspur", "Milford", "Northgate", "Orchard Park", "Pinehurst",
)  # fmt: skip
"""One university each."""

UNIVERSITY_FORMS = (
    "University of {place}",
    "{place} University",
    "{place} Institute of Technology",
    'St. Mary\'s College, "{place}"',
    "{place} College of Arts, Science & Letters",
)

FIELDS = (
    "Biochemistry", "Structural Biology", "Systems Medicine", "Enzymology", "Plant Science",
    "Immunology", "Neuroscience", "Bioinformatics", "Metabolism", "Molecular Genetics",
    "Materials Science", "Philosophy of Science",
)  # fmt: skip

FIRST_NAMES = (
    "Ada", "Aino", "Amara", "Anna-Lena", "Beatriz", "Bjørn", "Chiara", "Chloé", "Daniel", "Dmitri",
    "Elif", "Emma", "Farah", "Fionn", "Grace", "Guðrún", "Hana", "Hiroshi", "Ines", "Ivan", "Jamal",
    "José", "Kaja", "Kofi", "Lars", "Li Wei", "Łukasz", "Mads", "Maya", "Mei", "Ngozi", "Noah",
    "Olga", "Omar", "Priya", "Quentin", "Rania", "René", "Sofía", "Søren", "Tariq", "Theo", "Uma",
    "Viktor", "Wanjiru", "Xin", "Yara", "Yuki", "Zeynep", "Zoë",
)  # fmt: skip

LAST_NAMES = (
    "Abara", "Andersson", "Bauer", "Bianchi", "Brown", "Castro", "Chen", "D'Angelo", "de la Cruz",
    "Dubois", "Eriksen", "Fernández", "Fischer", "García", "Gupta", "Haddad", "Hansen", "Ivanova",
    "Jensen", "Johnson", "Kaya", "Kim", "Kowalski", "Larsen", "Lopez", "MacDonald", "Martin",
    "Mbeki", "Moreau", "Müller", "Nakamura", "Ndiaye", "Nguyen", "Novák", "O'Brien", "O'Connor",
    "Okafor", "Olsen", "Papadopoulos", "Park", "Petrov", "Rossi", "Sánchez", "Sato", "Schmidt",
    "Silva", "Singh", "Smith", "Sørensen", "Tanaka", "Tran", "van Dijk", "Virtanen", "Wagner",
    "Wang", "Weiß", "Yılmaz", "Zhang", "Öztürk", "Ålund",
)  # fmt: skip

ODD_NAMES = (
    'Robert "Bob" Table, Jr.',
    "=HYPERLINK(\"http://example.invalid\",\"Click\")",
    "+49 Dani",
    "-Minus-",
    "@lice",
    "Ann\nMarie",
    "Zoë 🧬",
    "  =leading blanks",
    "＝full-width",
    "null",
)  # fmt: skip
"""Names as users really type them; every hundredth user has one."""

TOPICS = (
    "ATP synthase", "Biotin", "Chlorophyll", "Coenzyme A", "Coenzyme Q10", "Cobalamin", "FAD",
    "Ferredoxin", "Folate", "Glutathione", "Haem", "Iron–sulphur clusters", "Lipoic acid",
    "Methanofuran", "Molybdopterin", "NAD⁺ and NADH", "NADP⁺", "Niacin", "Pantothenate", "PQQ",
    "Pyridoxal phosphate", "Riboflavin", "SAM", "Siroheme", "Thiamine pyrophosphate",
    "Topaquinone", "Vitamin C", "Vitamin K", "Zinc fingers", "Plastoquinone",
)  # fmt: skip

ASPECTS = (
    "in a nutshell", "history", "laboratory safety", "open questions", "reading group",
    "student notes", "study guide", "summer school", "the classic experiments", "who works on it",
)  # fmt: skip

SENTENCES = (
    "The group meets every second Thursday, in the old library, at six.",
    'A "cofactor" is a helper molecule, not a catalyst by itself.',
    "See also: vitamins, minerals, and metal ions.",
    "Yields were 40 %, 55 % and, after the third wash, 91 %.",
    "Don't pipette by mouth; yes, somebody asked. 🙈",
    "The reaction is A + B → C, at pH 7.4 and 37 °C.",
    "Notes by last year's students are kept in the shared folder.",
    "She wrote: \"It's the protein, stupid\"; the referee disagreed.",
    "Semi-colons; commas, tabs\tand pipes | are all welcome here.",
    "Bring your own coat, gloves and curiosity 🧪🔬.",
    "The 1937 paper is short, readable and mostly right.",
    "日本語の資料もあります。",
    "Next step: measure k_cat / K_M for the mutant.",
    "Nobody knows why the yellow one works better.",
    "The old protocol used cyanide; the new one does not.",
)  # fmt: skip

LEADS = (
    "=1+1 is not a formula here, it is the first line of a page.",
    "- first point\n- second point\n- third point",
    "+ pros and cons +",
    "@everyone: please read the safety notes",
    "\tindented by a tab",
    "=cmd|' /C calc'!A0",
)
"""Beginnings of a text that a spreadsheet would take for a formula."""

NOTES = ("read again!", "for the exam, chapter 3", "=important", '"must see"', "ask Prof. Weiß 🤔")

NOTICES = (
    ("REFERRAL", "Your referral worked", "{name} joined with your code, +50 power."),
    ("REVISION_APPROVED", "Revision approved", 'Your change to "{page}" is live.'),
    ("REVISION_REJECTED", "Revision not taken", 'Your change to "{page}" needs a source, sorry.'),
    ("BADGE", "New badge 🏅", "You are among the top ten, this week, at your university."),
    ("SYSTEM", "Maintenance, Sunday", "The site is away from 02:00 to 02:30,\nplease save first."),
)
"""Type, title, message."""
