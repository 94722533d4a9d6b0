"""English-French restaurant reviews from a small grammar, with gold word alignments.

Every rule of the grammar says the same thing in both languages and which words answer which, so the
links are right by construction, whatever the French order. How links are drawn:

- A word links to each word that renders it: potatoes -> {pommes, de, terre}; ice, cream -> glace. In a
  compound each English word keeps its own part: chocolate cake -> gâteau au chocolat has
  chocolate -> {au, chocolat}, cake -> gâteau.
- An article or possessive links to its counterpart; a, under a negation, is de: "we did not order a
  dessert", "nous n' avons pas commandé de dessert". A contraction renders two words: of, the -> du.
- Negation wraps the French verb: not -> {n', pas}, never -> {n', jamais}, no -> {n', pas, de}.
- A past tense renders as two words: liked -> {avons, aimé}. Where English has did, the auxiliary is
  did's: did -> avons, like -> aimé.
- there -> {il, y}, because -> {parce, que}, while -> {tandis, que}, near -> {près, de}, and
  besides -> {de, plus}.
- A preposition that French leaves out links to the word it belongs to: on, monday -> lundi; in,
  evening -> soir. An article or preposition that only French has links to the English noun:
  onion soup -> soupe à l' oignon has onion -> {à, l', oignon}.
- A comma links to the comma. Every token of both sentences has a link.

"it" is c' where it opens a review. After "because" it is il or elle, for the noun it stands for: the
subject of "the soup was bad because it was cold", the object of "we hated the soup because it was cold".
The writer ("i") is a man, and the company ("we") is mixed.
"""

import random
import re
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from utils.data.corpus import Corpus, Split

# The number of clauses is drawn from these, short reviews a little more often; words are English tokens.
CLAUSES, WORDS = (1,) * 5 + (2,) * 4 + (3,) * 4 + (4,) * 4 + (5,) * 4, (3, 38)
LONG_CLAUSES, LONG_WORDS = (6, 7, 8, 9, 10, 11, 12), (39, 80)

# ---- The lexicon ----
# In every table "French/english" says which English word a French word renders; without it, all of them.
# An adjective or a verb goes with a noun when they have a kind in common.

# kinds: English = French, gender (p: plural)
NOUNS = """
resto dark cost: restaurant = restaurant m
resto dark new: bar = bar m
resto dark new beautiful: place = endroit m
room loud new beautiful comfort: terrace = terrasse f
room loud dark new beautiful comfort: room = salle f
room beautiful: garden = jardin m
kitchen: kitchen = cuisine f
view beautiful: view = vue f
seat ours: table = table f
seat comfort: chair = chaise f
ware count: plate = assiette f; glass = verre m
staff new ours: waiter = serveur m; waitress = serveuse f
staff new: chef = chef m; owner = patron m; waiters = serveurs mp
service: service = service m
welcome: welcome = accueil m
wait: wait = attente f
music: music = musique f
air: atmosphere = ambiance f
meal hot ours: meal = repas m
meal hot spice salt: food = nourriture f; dishes = plats mp
meal spice salt greasy: sauce = sauce f
portion: portions = portions fp
order count hot spice salt: soup = soupe f; onion soup = soupe/soup à/onion l'/onion oignon/onion f
order fresh dry crisp burnt salt: bread = pain m
order salt: cheese = fromage m
order hot fresh spice burnt salt: fish = poisson m; vegetables = légumes mp
order hot dry tender spice burnt salt: chicken = poulet m; lamb = agneau m
order count fresh: salad = salade f; tomato salad = salade/salad de/tomato tomates/tomato f
order count hot greasy burnt salt: omelette = omelette f
order count hot crisp greasy burnt salt: pizza = pizza f
order hot crisp greasy burnt salt: potatoes = pommes de terre fp; fries = frites fp
order count light: starter = entrée f
order sweet count light: dessert = dessert m; chocolate cake = gâteau/cake au/chocolate chocolat/chocolate m
order sweet count burnt: strawberry tart = tarte/tart aux/strawberry fraises/strawberry f
order sweet count burnt: lemon tart = tarte/tart au/lemon citron/lemon f
order sweet count: ice cream = glace f
drink: wine = vin m; red wine = vin/wine rouge/red m
drink count bitter: beer = bière f
drink count hot sweet bitter: coffee = café m; tea = thé m
water: water = eau f
menu new cost: menu = menu m
menu: wine list = carte/list des/wine vins/wine f
bill ours: bill = addition f
bills: prices = prix mp
tip count: tip = pourboire m
guest: i = je m; we = nous mp; wife = femme f; daughter = fille f; friends = amis mp
it: it = ce m
taste: taste = goût m
smell: smell = odeur f
quality: quality = qualité f
bills: price = prix m
"""
# The last four are said "of the wine": of a noun of these kinds.
OF = {"taste": "order drink", "smell": "hot", "quality": "order drink meal", "price": "order drink"}

# kinds: English = French masculine, feminine, (masculine before a vowel), marks
# Marks: + praise, - complaint, 0 neither; < stands before its noun in French; * a verdict, for which a
# reason may follow. Degrees: x takes really; v also very and so; t also too and a little.
ADJECTIVES = """
order meal drink resto room service staff music air view taste it: amazing = incroyable incroyable +x*
order meal drink resto service air view taste quality it: perfect = parfait parfaite +x*
order meal drink resto service staff taste quality it: excellent = excellent excellente <+x*
order meal drink resto service music air taste smell it: horrible = horrible horrible <-x*
order meal drink it: delicious = délicieux délicieuse <+x*
order meal drink resto service welcome music taste smell quality it tip: good = bon bonne <+v*
order meal drink service music taste smell quality it: bad = mauvais mauvaise <-v*
order meal drink resto service welcome air view quality menu it: disappointing = décevant décevante -v*
order meal resto menu: ordinary = ordinaire ordinaire -v*
resto room service welcome music air view taste smell it: pleasant = agréable agréable +v*
beautiful: beautiful = beau belle bel <+v
salt: salty = salé salée -t; bland = fade fade -t
spice: spicy = épicé épicée 0t
fresh: fresh = frais fraîche +v
dry: dry = sec sèche -t
tender: tender = tendre tendre +v
light: light = léger légère +v
greasy: greasy = gras grasse -t
crisp: crispy = croustillant croustillante +v
burnt: burnt = brûlé brûlée -t
hot: hot = chaud chaude +t; cold = froid froide -t
sweet: sweet = sucré sucrée -t
bitter: bitter = amer amère -t
order drink cost it: expensive = cher chère -t
bill bills: high = élevé élevée -t; reasonable = raisonnable raisonnable +v
resto loud it: noisy = bruyant bruyante -t
resto room air it: quiet = calme calme +v
resto room kitchen seat ware: clean = propre propre +v
resto loud kitchen seat ware: dirty = sale sale -t
resto room kitchen seat portion ware: small = petit petite <-t
room kitchen portion ware: big = grand grande <+t
seat dark: old = vieux vieille vieil <-t
new: new = nouveau nouvelle nouvel <0x
dark: dark = sombre sombre -t
comfort: comfortable = confortable confortable +v
service staff: slow = lent lente -t; fast = rapide rapide +v
staff: kind = gentil gentille +v; polite = poli polie +v; rude = impoli impolie -v; young = jeune jeune <0v
resto welcome air: friendly = chaleureux chaleureuse +v
music air taste smell: strange = étrange étrange -v
music: loud = fort forte -t; soft = doux douce +v
wait: long = long longue <-t
portion: generous = généreux généreuse +v
guest: happy = content contente +v; disappointed = déçu déçue -v; tired = fatigué fatiguée 0v
"""
DEGREES = {"really": "vraiment", "very": "très", "so": "si", "too": "trop", "a little": "un/a peu/little"}
COMPLAINTS = {"too": -1, "a little": -1}  # whatever the adjective
EPITHETS = ("new", "old", "young", "beautiful")  # what a subject may be called before it is judged
VARIABLE = {"order", "meal", "drink", "service", "welcome", "staff", "music", "air"}  # good on monday only
SCALES = {"x": ("really",), "v": ("really", "very", "so"), "t": tuple(DEGREES)}

# kinds of object: English past and base = French participle, marks
# Marks: + - 0 as above (a complaint is never negated); o an opinion, with which the object's adjective
# agrees; 1 never takes never; a the object may be "a ..."; d it follows "to"; e uses être; and what
# may follow: t a time, p a place or a time.
GUEST_VERBS = """
order meal drink resto room view staff service music air menu taste: liked like = aimé +o
order meal drink resto room view staff service music air menu taste: loved love = adoré +o1
order meal drink service music air taste: hated hate = détesté -o
order drink: finished finish = fini +o; ordered order = commandé 0ap; tried try = goûté 0p
order: shared share = partagé 0ap; ate eat = mangé 0p
drink: drank drink = bu 0p
bill: paid pay = payé 0t1
: waited wait = attendu -p
"""
RESULT_VERBS = """
: returned return = revenu +te
staff: thanked thank = remercié +1; spoke speak = parlé -d
tip: left leave = laissé +a1
"""
STAFF_VERBS = """
order drink bill water menu ware: brought bring = apporté 0a
order drink: served serve = servi 0a
order drink bill water: forgot forget = oublié -
ware: broke break = cassé -a
seat ware kitchen: cleaned clean = nettoyé 0
"""

TIMES = """
yesterday = hier; last night = hier/last soir/night; at noon = à/at midi/noon
on monday = lundi; on friday = vendredi; on sunday = dimanche; in the evening = le/the soir/in+evening
"""
PLACES = """
on the terrace = sur/on la/the terrasse/terrace; in the garden = dans/in le/the jardin/garden
at the bar = au/at+the bar/bar; near the bar = près/near du/near+the bar/bar
near the window = près/near de/near la/the fenêtre/window
"""
CONNECTIVES = """
and = et; but = mais; while = tandis que; so = donc; because = parce que; and then = et/and puis/then
and besides = et/and de/besides plus/besides; , and = ,/, et/and; , yet = ,/, pourtant/yet; , so = ,/, donc/so
"""

# Function words by person (the writer, we, one, several) or by gender and number.
WAS = {"i": "étais", "we": "étions", "s": "était", "p": "étaient"}
IS = {"i": "suis", "we": "sommes", "s": "est", "p": "sont"}
HAS = {"i": "ai", "we": "avons", "s": "a", "p": "ont"}
ARTICLES = {
    "the": {"m": "le", "f": "la", "mp": "les", "fp": "les"},
    "a": {"m": "un", "f": "une"},
    "our": {"m": "notre", "f": "notre", "mp": "nos"},
    "my": {"m": "mon", "f": "ma"},
}
PRONOUNS = {"m": "il", "f": "elle", "mp": "ils", "fp": "elles"}
CONTRACTIONS = {"de": {"le": "du", "les": "des"}, "à": {"le": "au", "les": "aux"}}
VOWELS = "aàâeéèêhiîoôuy"  # with h: every h of this lexicon is silent
# le, la, de, ne, je, ce, que before a vowel; the vowel to cut is looked for first, which is faster.
ELIDED = re.compile(rf"[ea] (?=[{VOWELS}])(?:(?<=\b[ldnjc]. )|(?<=\bqu. ))")

# ---- The rules ----
# A clause in both languages. Capitals are filled in: S subject, V verb, AUX its auxiliary, O object ...

STATE = {
    "": ("S BE ADJ", "S WAS/BE ADJ"),
    "not": ("S BE not ADJ", "S ne/not WAS/BE pas/not ADJ"),
    "never": ("S BE never ADJ", "S ne/never WAS/BE jamais/never ADJ"),
}
ACTION = {
    "": ("S V O", "S AUX/V PART/V O"),
    "not": ("S did not V O", "S ne/not AUX/did pas/not PART/V O"),
    "never": ("S never V O", "S ne/never AUX/V jamais/never PART/V O"),
}
PRESENCE = ("there was O", "il/there y/there avait/was O")
ABSENCE = ("there BE no O", "il/there ne/no y/there avait/BE pas/no de/no O")


@dataclass(frozen=True, eq=False, slots=True)
class Phrase:
    """English words, French words, and the (English, French) positions that answer each other."""

    en: tuple[str, ...] = ()
    fr: tuple[str, ...] = ()
    links: tuple[tuple[int, int], ...] = ()


NOTHING = Phrase()
LINKS = [[(i, j) for j in range(2 * LONG_WORDS[1])] for i in range(LONG_WORDS[1])]  # made once, for speed


@cache
def rule(english, french, **parts):
    """Lay out a phrase in both languages at once.

    A word that names one of `parts` stands for that phrase or word, any other for itself. A French word
    renders the English words behind its stroke ("soir/in+evening"), or all where it has no stroke.
    """
    en, start, fr = [], {}, []
    for name in english.split():
        part = parts.get(name, name)
        start[name] = len(en)
        en += part.en if isinstance(part, Phrase) else [part]
    for item in french.split():
        name, stroke, rendered = item.partition("/")
        part = parts.get(name, name)
        if isinstance(part, Phrase):
            words = [[word, []] for word in part.fr]
            for i, j in part.links:
                words[j][1].append(start[name] + i)
            fr += words
        else:
            names = rendered.split("+") if stroke else start
            fr.append([part, [start[name] for name in names]])
    contract(fr)
    links = tuple([LINKS[i][j] for j, (_, rendered) in enumerate(fr) for i in rendered])
    return Phrase(tuple(en), tuple([word for word, _ in fr]), links)


def contract(words):
    """Merge de le into du and its like, with the links of both; before a vowel le stays, to be elided."""
    for k, (word, positions) in enumerate(words):
        if word in CONTRACTIONS:
            article, article_positions = words[k + 1]
            elided = article == "le" and words[k + 2][0][0] in VOWELS
            if article in CONTRACTIONS[word] and not elided:
                words[k : k + 2] = [[CONTRACTIONS[word][article], positions + article_positions]]


def elide(sentence):
    """Cut the vowel of le, la, de, ne, je, ce, que before another: "la ambiance" is "l' ambiance"."""
    return ELIDED.sub("' ", sentence)


def noun_phrase(noun, article="the", adjective=None, negated=False):
    """Put an article to a noun, and an adjective in its place and form."""
    phrase = noun.phrase
    if adjective:
        before_vowel = adjective.before and noun.agreement == "m" and phrase.fr[0][0] in VOWELS
        form = rule(adjective.en, adjective.forms["vowel" if before_vowel else noun.agreement])
        phrase = rule("ADJ N", "ADJ N" if adjective.before else "N ADJ", ADJ=form, N=phrase)
    french = "de" if negated and article == "a" else ARTICLES[article][noun.agreement]
    article = "an" if article == "a" and phrase.en[0][0] in "aeiou" else article
    return rule(f"{article} N", f"{french}/{article} N", N=phrase)


# ---- Reading the lexicon ----


def entries(table):
    """Yield English, French words, marks and kinds of every word of a table."""
    for line in table.strip().splitlines():
        kinds, words = line.split(":")
        for word in words.split(";"):
            english, french = word.split("=")
            *french, marks = french.split()
            yield english.strip(), french, marks, set(kinds.split())


def phrases(table):
    return [rule(*entry.split(" = ")) for line in table.strip().splitlines() for entry in line.split("; ")]


def mood(marks):
    return {"+": 1, "-": -1, "0": 0}[marks.strip("<")[0]]


class Adjective:
    def __init__(self, en, french, marks, kinds):
        masculine, feminine, *before_vowel = french
        ending = "" if masculine[-1] in "sx" else "x" if masculine.endswith("eau") else "s"
        self.forms = {"m": masculine, "f": feminine, "mp": masculine + ending, "fp": feminine + "s"}
        self.forms["vowel"] = before_vowel[0] if before_vowel else masculine
        self.en, self.kinds, self.mood = en, kinds, mood(marks)
        self.before, self.verdict = "<" in marks, "*" in marks
        self.degrees = next(degrees for scale, degrees in SCALES.items() if scale in marks)


class Noun:
    def __init__(self, en, french, agreement, kinds):
        self.en, self.agreement, self.kinds = en, agreement, kinds
        self.phrase = rule(en, " ".join(french))
        self.person = en if en in WAS else "p" if "p" in agreement else "s"
        self.be = "were" if "p" in agreement else "was"
        self.adjectives = [adjective for adjective in LEXICON if adjective.kinds & kinds]
        self.epithets = [adjective for adjective in self.adjectives if adjective.en in EPITHETS]
        self.judgements = [adjective for adjective in self.adjectives if adjective.en not in EPITHETS]
        self.reasons = [a for a in self.adjectives if not a.verdict and (a.mood or "too" in a.degrees)]
        if en in OF or en == "it":
            self.reasons = []  # in "the taste of the wine was bad because it ...", what would "it" be?
        self.fitting = {mood: [a for a in self.adjectives if a.mood in (0, mood)] for mood in (-1, 1)}
        self.variable = bool(kinds & VARIABLE)


class Verb:
    def __init__(self, en, french, marks, kinds):
        self.past, self.base = en.split()
        self.participle, self.marks, self.mood = french[0], marks, mood(marks)
        self.objects = nouns(*kinds)
        self.tails = TIME + PLACE if "p" in marks else TIME if "t" in marks else []


@cache
def nouns(*kinds):
    return [noun for noun in NOUN.values() if noun.kinds.intersection(kinds)]


LEXICON = [Adjective(*entry) for entry in entries(ADJECTIVES)]
NOUN = {entry[0]: Noun(*entry) for entry in entries(NOUNS)}
TIME, PLACE = phrases(TIMES), phrases(PLACES)
CONNECTIVE = {"": NOTHING} | {" ".join(phrase.en): phrase for phrase in phrases(CONNECTIVES)}
GUEST, RESULT, STAFF = (
    [Verb(*entry) for entry in entries(table)] for table in (GUEST_VERBS, RESULT_VERBS, STAFF_VERBS)
)
HEADS = {NOUN[head]: nouns(*kinds.split()) for head, kinds in OF.items()}
SUBJECTS = [noun for noun in NOUN.values() if noun.adjectives and noun.en not in ("it", "tip", *OF)]
COMPANY = [NOUN["we"], NOUN["we"], NOUN["i"], *nouns("guest")]

# ---- Writing a review ----


@cache
def claims(adjective, variable, mood):
    """List (negation, degree, mood) of what is said with an adjective; of the wanted mood, if not 0.

    Only what is variable is never so. Nobody says "not a little", "never so", "not horrible" or "not very
    salty".
    """
    if adjective.mood >= 0:
        deniable = ("", "", *(degree for degree in adjective.degrees if degree != "a little"))
    else:
        deniable = () if adjective.verdict else ("", "", "too")
    said = [("", degree, 1) for degree in ("",) * len(adjective.degrees) + adjective.degrees]
    said += [("not", degree, -1) for degree in deniable]
    said += [("never", degree, -1) for degree in deniable[1:] if degree != "so" and variable]
    said = [(no, degree, sign * COMPLAINTS.get(degree, adjective.mood)) for no, degree, sign in said]
    return [claim for claim in said if mood in (0, claim[2])]


class Clause(NamedTuple):
    phrases: list[Phrase]
    mood: int  # 1 praise, -1 complaint, 0 neither
    topic: Noun | None = None  # what a "because it ..." after this clause would speak of
    teller: Noun | None = None  # who may go on with "and then we ..."


def join(phrases):
    """Lay phrases side by side: the English sentence, the French one, and their links."""
    en, fr, links = [], [], []
    for phrase in phrases:
        before, before_fr = len(en), len(fr)
        links += [LINKS[before + i][before_fr + j] for i, j in phrase.links]
        en += phrase.en
        fr += phrase.fr
    return " ".join(en), elide(" ".join(fr)), frozenset(links)


def lay_out(written):
    """The phrases of clauses with their connectives, as `Reviewer.clauses` gives them, in order."""
    return [p for joined_by, clause in written for p in (CONNECTIVE[joined_by], *clause.phrases)]


class Reviewer:
    """Write reviews with `random.Random(seed).random`, the one draw that is the same in every Python.

    `about` collects what the clause being written speaks of: a review comes back to nothing it has judged.
    """

    def __init__(self, seed):
        self.random = random.Random(seed).random
        self.about = set()

    def pick(self, options):
        return options[int(self.random() * len(options))]

    def chance(self, share):
        return self.random() < share

    def choose(self, options):
        noun = self.pick(options)
        self.about.add(noun.en)
        return noun

    def name(self, noun):
        """The soup, our waiter, my wife, the taste of the wine."""
        if noun.en in ("i", "we", "it"):
            return noun.phrase
        if noun in HEADS:
            whole = noun_phrase(self.choose(HEADS[noun]))
            return rule("HEAD of N", "HEAD de/of N", HEAD=noun_phrase(noun), N=whole)
        if "guest" in noun.kinds:
            return noun_phrase(noun, "our" if noun.person == "p" else "my")
        return noun_phrase(noun, "our" if "ours" in noun.kinds and self.chance(0.3) else "the")

    def state(self, noun, subject, adjectives, mood=0):
        """The soup was (not, never) (very) hot (on monday). A `mood` of 0 is any."""
        variable = noun.variable and not mood
        adjective = self.pick(adjectives)
        while not (sayings := claims(adjective, variable, mood)):
            adjective = self.pick(adjectives)
        negation, degree, praise = self.pick(sayings)
        quality = rule(adjective.en, adjective.forms[noun.agreement])
        if degree:
            quality = rule("D ADJ", "D ADJ", D=rule(degree, DEGREES[degree]), ADJ=quality)
        phrase = rule(*STATE[negation], S=subject, BE=noun.be, WAS=WAS[noun.person], ADJ=quality)
        when = [self.pick(TIME)] if variable and negation != "never" and self.chance(0.15) else []
        asks_why = adjective.verdict and noun.reasons and not when
        return Clause([phrase, *when], praise, noun if asks_why else None)

    def opinion(self, subjects, mood=0):
        noun = self.choose(subjects)
        epithet = self.pick(noun.epithets) if noun.epithets and self.chance(0.2) else None
        subject = noun_phrase(noun, "the", epithet) if epithet else self.name(noun)
        clause = self.state(noun, subject, noun.judgements if epithet else noun.adjectives, mood)
        return clause._replace(topic=None) if epithet else clause

    def reason(self, clause):
        """(because) it was too salty."""
        noun = clause.topic
        person = {"m": "he", "f": "she"}.get(noun.agreement) if "staff" in noun.kinds else "it"
        pronoun = rule("they" if noun.person == "p" else person, PRONOUNS[noun.agreement])
        return self.state(noun, pronoun, noun.reasons, clause.mood)

    def action(self, subject, verbs, mood=0, plain=False):
        """We (did not, never) ordered a hot soup (at noon)."""
        while True:
            verb = self.pick(verbs)
            negations = ("", "", "", "", "not", "not" if "1" in verb.marks else "never")
            negation = "" if plain or verb.mood < 0 else self.pick(negations)
            praise = -verb.mood if negation else verb.mood
            if mood in (0, praise):
                break
        guest, thing, topic = "guest" in subject.kinds, NOTHING, None
        if verb.objects:
            thing, topic = self.object(verb, bool(negation), praise, guest)
        else:
            self.about.add(verb.base)
        gender = {"m": "", "f": "e"}.get(subject.agreement, "s") if "e" in verb.marks else ""
        phrase = rule(
            *ACTION[negation],
            S=self.name(subject),
            V=verb.base if negation == "not" else verb.past,
            AUX=(IS if "e" in verb.marks else HAS)[subject.person],
            PART=verb.participle + gender,
            O=thing,
        )
        when = [self.pick(verb.tails)] if verb.tails and negation != "never" and self.chance(0.35) else []
        went_on = guest and not praise and not negation
        return Clause([phrase, *when], praise, topic, subject if went_on else None)

    def object(self, verb, negated, praise, guest):
        """The bread, no dessert, the salty soup that we did not like; and what a reason would speak of."""
        noun, opinion = self.choose(verb.objects), "o" in verb.marks
        adjective = None
        if guest and (opinion or not negated) and noun not in HEADS and self.chance(0.5):
            fitting = noun.fitting[praise if opinion else 1]
            adjective = self.pick(fitting) if fitting else None
        if "a" in verb.marks and (noun.en == "tip" or ("count" in noun.kinds and self.chance(0.5))):
            phrase = noun_phrase(noun, "a", adjective, negated)
        else:
            phrase = noun_phrase(noun, "the", adjective) if adjective else self.name(noun)
        topical = opinion and not adjective and noun.reasons
        return rule("to N", "à/to N", N=phrase) if "d" in verb.marks else phrase, noun if topical else None

    def presence(self):
        """There was a small table near the window."""
        noun = self.choose(nouns("view", "wait", "room", "seat"))
        adjective = self.pick(noun.adjectives)
        where = [self.pick(PLACE)] if "seat" in noun.kinds and self.chance(0.5) else []
        phrase = rule(*PRESENCE, O=noun_phrase(noun, "a", adjective))
        return Clause([phrase, *where], adjective.mood)

    def absence(self):
        """There was no bread on monday."""
        noun = self.choose(nouns("order", "drink", "water", "music"))
        when = [self.pick(TIME)] if self.chance(0.3) else []
        return Clause([rule(*ABSENCE, BE=noun.be, O=noun.phrase), *when], -1)

    def result(self, mood):
        """(so) we never returned, (so) my wife was disappointed."""
        if self.chance(0.3):
            return self.opinion(nouns("guest"), mood)._replace(mood=0)
        return self.action(self.pick(COMPANY), RESULT, mood)._replace(mood=0)

    def clause(self):
        kind = self.random()
        if kind < 0.55:
            return self.opinion(list(HEADS) if kind < 0.1 else SUBJECTS)
        if kind < 0.8:
            return self.action(self.pick(COMPANY), GUEST)
        if kind < 0.9:
            return self.action(self.choose(nouns("staff")), STAFF)
        return self.presence() if kind < 0.95 else self.absence()

    def follow(self, last):
        """The first clause of a review, or a connective and the next one, given the last one."""
        if last is None:
            return "", self.opinion([NOUN["it"]]) if self.chance(0.08) else self.clause()
        if last.topic and self.chance(0.4):
            return "because", self.reason(last)
        if last.mood and self.chance(0.12):
            return self.pick(("so", ", so")), self.result(last.mood)
        if last.teller and self.chance(0.4):
            return "and then", self.action(last.teller, GUEST, plain=True)
        clause = self.clause()
        contrast = clause.mood * last.mood < 0
        return self.pick(("but", "while", ", yet") if contrast else ("and", ", and", "and besides")), clause

    def clauses(self, count, words):
        """Write `count` clauses with a number of English words in range, each with the connective before it.

        A list of (connective, `Clause`), the first connective "". A connective comes again only in reviews
        that have more clauses than there are in training, and then once: whoever has translated "and" knows
        which clause is next.
        """
        while True:
            written, used, joined = [], set(), []
            for _ in range(6 * count):  # then it may have talked itself into a corner
                self.about = set()
                joined_by, clause = self.follow(written[-1][1] if written else None)
                if self.about & used or joined.count(joined_by) > (count > max(CLAUSES)):
                    continue
                used |= self.about
                joined.append(joined_by)
                written.append((joined_by, clause))
                if len(written) == count:
                    break
            if len(written) == count and words[0] <= sum(len(p.en) for p in lay_out(written)) <= words[1]:
                return written

    def review(self, count, words):
        """Write `count` clauses with a number of English words in range: English, French, links."""
        return join(lay_out(self.clauses(count, words)))


def load_reviews(train=20_000, valid=500, test=1_000, long=500, seed=0):
    """Write the corpus of English-French restaurant reviews with gold links.

    The splits train, valid and test have sentences of 1 to 5 clauses and 3 to 38 English words; long, of 6
    to 12 clauses and 39 to 80 words, is longer than anything trained on. No English sentence occurs twice
    in the whole corpus, and the size of train changes no other split. The same sizes and seed give the
    same corpus on every machine. Raises ValueError for a negative size.
    """
    sizes = {"valid": valid, "test": test, "long": long, "train": train}
    if min(sizes.values()) < 0:
        raise ValueError(f"a split has 0 sentence pairs or more, but the sizes asked for are {sizes}")
    reviewer, seen, splits = Reviewer(seed), set(), {}
    for name, size in sizes.items():
        counts, words = (LONG_CLAUSES, LONG_WORDS) if name == "long" else (CLAUSES, WORDS)
        split = splits[name] = Split([], [], [], [])
        while len(split) < size:
            count = reviewer.pick(counts)
            src, tgt, links = reviewer.review(count, words)
            if src not in seen:
                seen.add(src)
                split.src.append(src)
                split.tgt.append(tgt)
                split.links.append(links)
                split.clauses.append(count)
    return Corpus(
        name="reviews",
        src_lang="en",
        tgt_lang="fr",
        splits={name: splits[name] for name in ("train", "valid", "test", "long")},
        tokenization="words",
        licence="CC BY 4.0, like the text of this course",
        citation="written by the grammar of this course, utils/data/reviews.py",
    )


def new_reviews(size, seed):
    """Write reviews of two to five clauses, to judge a translator of `load_reviews()` by: a `Split`.

    Reviews of one clause are left out, since one in a few of them is in the corpus already. The same size
    and seed give the same reviews. Raises ValueError for a negative size.
    """
    written = load_reviews(train=0, valid=0, test=2 * size, long=0, seed=seed)["test"]
    return written[[row for row, clauses in enumerate(written.clauses) if clauses > 1][:size]]
