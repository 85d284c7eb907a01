"""The training text, written for this model: questions about capitals in several phrasings, and their
answers.

The facts are general knowledge. Places whose capital is disputed, divided or about to move are left out, and
so is the country Georgia, because a bare "Georgia" is taken as the state.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STATES = """
Alabama=Montgomery|Alaska=Juneau|Arizona=Phoenix|Arkansas=Little Rock|California=Sacramento|Colorado=Denver
Connecticut=Hartford|Delaware=Dover|Florida=Tallahassee|Georgia=Atlanta|Hawaii=Honolulu|Idaho=Boise
Illinois=Springfield|Indiana=Indianapolis|Iowa=Des Moines|Kansas=Topeka|Kentucky=Frankfort
Louisiana=Baton Rouge|Maine=Augusta|Maryland=Annapolis|Massachusetts=Boston|Michigan=Lansing
Minnesota=Saint Paul|Mississippi=Jackson|Missouri=Jefferson City|Montana=Helena|Nebraska=Lincoln
Nevada=Carson City|New Hampshire=Concord|New Jersey=Trenton|New Mexico=Santa Fe|New York=Albany
North Carolina=Raleigh|North Dakota=Bismarck|Ohio=Columbus|Oklahoma=Oklahoma City|Oregon=Salem
Pennsylvania=Harrisburg|Rhode Island=Providence|South Carolina=Columbia|South Dakota=Pierre
Tennessee=Nashville|Texas=Austin|Utah=Salt Lake City|Vermont=Montpelier|Virginia=Richmond|Washington=Olympia
West Virginia=Charleston|Wisconsin=Madison|Wyoming=Cheyenne
"""

COUNTRIES = """
Afghanistan=Kabul|Albania=Tirana|Algeria=Algiers|Angola=Luanda|Argentina=Buenos Aires|Armenia=Yerevan
Australia=Canberra|Austria=Vienna|Azerbaijan=Baku|Bahrain=Manama|Bangladesh=Dhaka|Barbados=Bridgetown
Belarus=Minsk|Belgium=Brussels|Belize=Belmopan|Bhutan=Thimphu|Botswana=Gaborone|Brazil=Brasilia
Bulgaria=Sofia|Cambodia=Phnom Penh|Cameroon=Yaounde|Canada=Ottawa|Chad=Ndjamena|Chile=Santiago|China=Beijing
Colombia=Bogota|Costa Rica=San Jose|Croatia=Zagreb|Cuba=Havana|Cyprus=Nicosia|Denmark=Copenhagen
Ecuador=Quito|Egypt=Cairo|El Salvador=San Salvador|Eritrea=Asmara|Estonia=Tallinn|Ethiopia=Addis Ababa
Fiji=Suva|Finland=Helsinki|France=Paris|Gabon=Libreville|Germany=Berlin|Ghana=Accra|Greece=Athens
Guatemala=Guatemala City|Guinea=Conakry|Guyana=Georgetown|Haiti=Port-au-Prince|Honduras=Tegucigalpa
Hungary=Budapest|Iceland=Reykjavik|India=New Delhi|Iran=Tehran|Iraq=Baghdad|Ireland=Dublin|Italy=Rome
Jamaica=Kingston|Japan=Tokyo|Jordan=Amman|Kazakhstan=Astana|Kenya=Nairobi|Kuwait=Kuwait City
Kyrgyzstan=Bishkek|Laos=Vientiane|Latvia=Riga|Lebanon=Beirut|Lesotho=Maseru|Liberia=Monrovia|Libya=Tripoli
Lithuania=Vilnius|Madagascar=Antananarivo|Malawi=Lilongwe|Mali=Bamako|Malta=Valletta|Mauritania=Nouakchott
Mauritius=Port Louis|Mexico=Mexico City|Moldova=Chisinau|Mongolia=Ulaanbaatar|Montenegro=Podgorica
Morocco=Rabat|Mozambique=Maputo|Namibia=Windhoek|Nepal=Kathmandu|New Zealand=Wellington|Nicaragua=Managua
Niger=Niamey|Nigeria=Abuja|Norway=Oslo|Oman=Muscat|Pakistan=Islamabad|Panama=Panama City|Paraguay=Asuncion
Peru=Lima|Poland=Warsaw|Portugal=Lisbon|Qatar=Doha|Romania=Bucharest|Russia=Moscow|Rwanda=Kigali
Saudi Arabia=Riyadh|Senegal=Dakar|Serbia=Belgrade|Sierra Leone=Freetown|Slovakia=Bratislava
Slovenia=Ljubljana|Somalia=Mogadishu|South Korea=Seoul|Spain=Madrid|Sudan=Khartoum|Suriname=Paramaribo
Sweden=Stockholm|Switzerland=Bern|Syria=Damascus|Tajikistan=Dushanbe|Tanzania=Dodoma|Thailand=Bangkok
Togo=Lome|Tunisia=Tunis|Turkey=Ankara|Turkmenistan=Ashgabat|Uganda=Kampala|Ukraine=Kyiv|Uruguay=Montevideo
Uzbekistan=Tashkent|Venezuela=Caracas|Vietnam=Hanoi|Zambia=Lusaka|Zimbabwe=Harare
"""

ASK_CAPITAL = (
    "What's the capital of {place}?",
    "What is the capital of {place}?",
    "what is the capital of {place}",
    "Which city is the capital of {place}?",
    "What city is the capital of {place}?",
    "Name the capital of {place}.",
    "Please name the capital of {place}.",
    "Tell me the capital of {place}.",
    "Please tell me the capital of {place}.",
    "Can you tell me the capital of {place}?",
    "Can you tell me what the capital of {place} is?",
    "Do you know the capital of {place}?",
    "Do you know what the capital of {place} is?",
    "What is the capital city of {place}?",
    "Tell me the capital city of {place}.",
    "What's {place}'s capital?",
    "What is {place}'s capital?",
    "What is {place}'s capital city?",
    "Which city is {place}'s capital city?",
    "{place}'s capital?",
    "capital of {place}?",
    "The capital of {place} is",
)
ASK_PLACE = (
    "Which {kind} has {capital} as its capital?",
    "What {kind} has {capital} as its capital?",
    "{capital} is the capital of which {kind}?",
    "{capital} is the capital of what {kind}?",
    "What is {capital} the capital of?",
    "Tell me which {kind} has {capital} as its capital.",
)
UNSEEN_ASK_CAPITAL = (
    "What's the capital city of {place}?",
    "Which city is {place}'s capital?",
    "Please tell me the capital city of {place}.",
    "Do you know which city is the capital of {place}?",
    "Please name {place}'s capital.",
)
UNSEEN_ASK_PLACE = (
    "Please tell me which {kind} has {capital} as its capital.",
    "Do you know which {kind} has {capital} as its capital?",
)

HELD_OUT_SHARE = 0.15


@dataclass(frozen=True)
class Fact:
    """One place and its capital; `kind` is "state" or "country"."""

    kind: str
    place: str
    capital: str


@dataclass(frozen=True)
class Example:
    """A prompt and the answer the model is to give."""

    prompt: str
    answer: str


@dataclass(frozen=True)
class Corpus:
    """`train`: learnt. `held_out`: known phrasing, known fact, the pair never seen. `unseen`: phrasing never
    seen.
    """

    train: list[Example]
    held_out: list[Example]
    unseen: list[Example]


def facts() -> list[Fact]:
    """Every fact, states first."""
    return [
        Fact(kind, *pair.split("="))
        for kind, table in (("state", STATES), ("country", COUNTRIES))
        for pair in table.strip().replace("\n", "|").split("|")
    ]


def _examples(fact: Fact, ask_capital: tuple[str, ...], ask_place: tuple[str, ...]) -> list[Example]:
    forward = f"The capital of {fact.place} is {fact.capital}."
    backward = f"{fact.capital} is the capital of {fact.place}."
    values = vars(fact)
    return [Example(text.format(**values), forward) for text in ask_capital] + [
        Example(text.format(**values), backward) for text in ask_place
    ]


def build(seed: int) -> Corpus:
    """The same corpus for the same seed."""
    draw = np.random.default_rng(seed)
    corpus = Corpus([], [], [])
    for fact in facts():
        for example in _examples(fact, ASK_CAPITAL, ASK_PLACE):
            side = corpus.held_out if draw.random() < HELD_OUT_SHARE else corpus.train
            side.append(example)
        corpus.unseen.extend(_examples(fact, UNSEEN_ASK_CAPITAL, UNSEEN_ASK_PLACE))
    return corpus
