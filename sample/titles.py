"""The texts on the posters of invented films: names, and titles from grammars that depend on the genres."""

import random
import re
from dataclasses import dataclass


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split(" | "))


PLACES = _list(
    "Lisbon | Málaga | Tromsø | Besançon | Århus | Valparaíso | Odessa | Trieste | Duluth | Kyoto | Galway | Tangier | "
    "Córdoba | Gdansk | Saint-Malo | Montréal | Marfa | Utrecht | Bergen | Palermo | Zürich | Leith"
)
FIRST_NAMES = _list(
    "Agnes | Zoë | Otto | Clara | Émile | Hugo | Ines | Jürgen | Mabel | Noël | Oona | Pablo | Renée | Silas | Thea | "
    "Ulla | Viktor | Wanda | Bruno | Dora | Felix | Greta | Iris | Leo | Nadia | Rufus"
)
SURNAMES = _list(
    "Abernathy | Bellweather | Castellane | Dufresne | Eklund | Fairweather | Grünwald | Holloway | Ibarra | Jansen | "
    "Kowalczyk | Lindqvist | Marlowe | Núñez | Okafor | Pemberton | Quill | Rossi | Sørensen | Tavener | Underhill | "
    "Vance | Whitlock | Yarrow | Zielinski"
)
TIMES = _list("Monday | August | Midnight | Easter | November | Noon | Tomorrow | Midsummer | Low Tide | Dusk")
NUMBERS = _list("Two | Three | Four | Five | Seven | Nine | Eleven | Forty")
TAGLINES = _list(
    "Some doors stay open. | Nothing stays where it was. | It begins with a small mistake. | Bring a coat. | "
    "There is always one more. | You will want to sit down. | They should have taken the train. | Listen closely. | "
    "Not a word to Mother. | Everyone has a reason. | Nobody asked the neighbours. | The map was wrong. | "
    "What could possibly happen? | One summer. No regrets. | It was never about the money. | "
    "Tomorrow is a long way off."
)

# Title patterns for any film. Adjectives and nouns are the genre's.
PATTERNS = _list(
    "The {adjective} {noun} | The {noun} of {place} | {adjective} {noun} | A {noun} for {first} | {number} {nouns} | "
    "The {noun} Before {time} | {first} and the {noun} | The {surname} {noun} | Beyond the {adjective} {noun} | "
    "{place}, {time} | My {adjective} {noun} | {time} in {place}"
)
# The share of titles that follow one of these patterns. The others follow one of the genre's.
COMMON = 0.5


@dataclass(frozen=True)
class Grammar:
    """A genre's words and title patterns."""

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    patterns: tuple[str, ...]


def _grammar(adjectives: str, nouns: str, patterns: str) -> Grammar:
    return Grammar(_list(adjectives), _list(nouns), _list(patterns))


GRAMMARS = {
    "Action": _grammar(
        "Maximum | Burning | Iron | Final | Rogue | Full | Lethal | Broken",
        "Impact | Throttle | Vendetta | Convoy | Fuse | Payload | Hammer | Pursuit | Thunder | Firewall",
        "{adjective} {noun}: {place} | {surname}'s {noun} | No Brakes | Countdown {place} | {noun} {number}",
    ),
    "Adventure": _grammar(
        "Lost | Golden | Uncharted | Far | Emerald | Forgotten | Highest | Wild",
        "Island | Expedition | Compass | Caravan | Summit | Treasure | Voyage | Monsoon | Canyon | Atlas",
        "Quest for the {adjective} {noun} | {surname}'s {noun} | Journey to {place} | South of the {noun}",
    ),
    "Animation": _grammar(
        "Wobbly | Purple | Sleepy | Bouncing | Magic | Upside-Down | Sparkling | Unlikely",
        "Dragon | Teapot | Robot | Pelican | Cloud | Monster | Turnip | Penguin | Snail | Wizard",
        "{first} the {adjective} {noun} | The {noun} That Could | {nouns}! | How the {noun} Got Its {noun}",
    ),
    "Comedy": _grammar(
        "Accidental | Terrible | Wrong | Polite | Second-Best | Overdue | Slightly Used | Loud",
        "Honeymoon | Landlord | Uncle | Moustache | Buffet | Butler | Wedding Cake | Driving Test | Mayor | Sofa | "
        "Roommate | Dentist | Pyjama | Trombone | Vacation | Peacock",
        "Help! My {noun}! | {first} & {first} | Mr. {surname} Regrets | Too Many {nouns} | {first} Takes the Bus | "
        "Who Invited {first}? | Meet the {surname}s | Oh, {first}! | {number} {nouns} and a {noun}",
    ),
    "Crime": _grammar(
        "Crooked | Dirty | Marked | Unlucky | Small-Time | Perfect | Bent | Borrowed",
        "Heist | Informer | Ledger | Racket | Safecracker | Inspector | Getaway | Pawnshop | Verdict | Fence",
        "The {place} Job | {number} Honest Thieves | Inspector {surname} | The {surname} Case | "
        "A {noun} Called {first}",
    ),
    "Drama": _grammar(
        "Quiet | Borrowed | Unfinished | Distant | Long | Pale | Patient | Ordinary",
        "Orchard | Letter | Daughter | Harvest | Window | Winter | River | Inheritance | Piano Tuner | Lighthouse | "
        "Teacher | Confession | Garden | Sister | Portrait | Silence | Snowfall | Lodger",
        "What {first} Knew | All the {adjective} {nouns} | The Last {noun} in {place} | After the {noun} | "
        "{first} in {place} | {number} Letters to {first} | Mr. {surname}'s {noun} | Nobody's {noun}",
    ),
    "Family": _grammar(
        "Little | Brave | Runaway | Sunny | Clever | Tiny | Muddy | Best",
        "Puppy | Treehouse | Picnic | Kite | Snowball | Grandpa | Pony | Holiday | Lemonade | Hedgehog",
        "{first}'s {adjective} {noun} | The {noun} Who Stayed | Saving {first} | {first} Finds a {noun}",
    ),
    "Horror": _grammar(
        "Crawling | Hungry | Unholy | Whispering | Rotten | Bleeding | Thirteenth | Hollow",
        "Cellar | Séance | Grave | Scarecrow | Doll | Crypt | Nightmare | Swarm | Attic | Gravedigger",
        "Don't Wake the {noun} | The {noun} Breathes | {place} Screams | It Came by {time} | Curse of the {noun}",
    ),
    "Music": _grammar(
        "Blue | Acoustic | Swinging | Off-Key | Brass | Velvet | Lonesome | Syncopated",
        "Melody | Encore | Trumpet | Ballad | Quartet | Jukebox | Rhapsody | Band | Overture | Banjo",
        "Play It for {first} | {noun} in {place} | The {surname} Quartet | Sing, {first}, Sing | One More {noun}",
    ),
    "Romance": _grammar(
        "Tender | Secret | Slow | Sweet | Paper | Midsummer | Foolish | Dearest",
        "Kiss | Waltz | Promise | Valentine | Love Letter | Bouquet | Serenade | Heart | Ferry | Rose",
        "{first} Loves {first} | Kiss Me in {place} | Yours, {first} | Till {time}, My Love | Dancing with {first}",
    ),
    "Sci-Fi": _grammar(
        "Electric | Orbital | Quantum | Silver | Parallel | Frozen | Synthetic | Outer",
        "Colony | Android | Signal | Moonbase | Orbit | Machine | Horizon | Replicant | Comet | Paradox",
        "{noun} {number} | Escape from {noun} {number} | The {noun} from Saturn | Project {surname} | "
        "Last Shuttle to {place}",
    ),
    "Sport": _grammar(
        "Extra | Unbeaten | Home | Golden | Last | Muddy | Underdog | Heavyweight",
        "Season | Goalkeeper | Inning | Champion | Relay | Penalty | Marathon | Coach | Final | Rematch",
        "The Boys from {place} | {first} Goes the Distance | {place} United | The {noun} Kid | {number} Rounds",
    ),
    "Thriller": _grammar(
        "Silent | Hidden | Double | Cold | Third | Blind | Fatal | Nameless",
        "Witness | Keyhole | Alibi | Passenger | Signal | Stranger | Watcher | Corridor | Telephone | Mirror",
        "Who Is {first} {surname}? | Don't Look at the {noun} | {number} Minutes to {place} | The {noun} Upstairs",
    ),
    "Western": _grammar(
        "Dusty | Lonesome | Crooked | High | Wanted | Dry",
        "Saddle | Marshal | Stagecoach | Outlaw | Prairie | Spur | Canyon | Gunsmith",
        "The {noun} from {place} | Ride to {place} | {surname} Rides Alone | A {noun} at Noon",
    ),
}


def title(genre: str, rng: random.Random) -> str:
    """A film's title, without its year, of at most 32 characters."""
    grammar = GRAMMARS[genre]
    words = {
        "adjective": grammar.adjectives,
        "noun": grammar.nouns,
        "nouns": [_plural(noun) for noun in grammar.nouns],
        "place": PLACES,
        "first": FIRST_NAMES,
        "surname": SURNAMES,
        "time": TIMES,
        "number": NUMBERS,
    }
    while True:
        pattern = rng.choice(PATTERNS if rng.random() < COMMON else grammar.patterns)
        text = re.sub(r"{(\w+)}", lambda slot: rng.choice(words[slot[1]]), pattern)
        text = re.sub(r"\b([Aa]) (?=[AEIOU])", r"\1n ", text)
        if len(text) <= 32 and _is_varied(text):
            return text


def person(rng: random.Random) -> str:
    """An invented person's name."""
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(SURNAMES)}"


def stars(rng: random.Random) -> str:
    """The leading actors, for the poster's top line."""
    return f"{person(rng)} & {person(rng)}"


def tagline(rng: random.Random) -> str:
    """A sentence that advertises the film."""
    return rng.choice(TAGLINES)


def billing(year: str, rng: random.Random) -> tuple[str, str]:
    """The two lines of small print at the poster's foot."""
    return (
        f"{rng.choice(SURNAMES)} Pictures presents a film by {person(rng)}",
        f"Music {person(rng)}   Written by {person(rng)}   {year}",
    )


def _plural(noun: str) -> str:
    if re.search(r"(s|sh|ch|x|z)$", noun):
        return f"{noun}es"
    return re.sub(r"(?<=[^aeiou])y$", "ie", noun) + "s"


def _is_varied(title: str) -> bool:
    """Whether no word of three letters or more occurs twice (`Zoë Loves Zoë`), in singular or plural."""
    words = [word.rstrip("s") for word in re.findall(r"\w{3,}", title.lower()) if word != "the"]
    return len(set(words)) == len(words)
