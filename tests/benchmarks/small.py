"""A small judged set, written for the tests: (event, site, day, title, excerpt). Articles of one event belong to one
story.
"""

from __future__ import annotations

from hashlib import blake2b

from tests.benchmarks.collection import Item

ARTICLES = (
    ("ferry", "a", 1, "Harbour ferry drops face scans after protest", "The ferry company will take down the cameras that scanned faces at its gates, a week after passengers protested."),
    ("ferry", "b", 1, "After protest, ferry gates lose their face scanning cameras", "Passengers had protested for a week; now the harbour ferry takes down cameras that scanned faces."),
    ("ferry", "c", 2, "Face scans at the ferry: how the cameras came and went", "The harbour ferry's face scanning cameras are gone after a protest by passengers, and the company apologised."),
    ("ferry2", "a", 9, "Ferry timetable changes with the summer season", "From June the harbour ferry runs every twenty minutes, and until midnight at weekends."),
    ("orchard", "a", 3, "Late frost destroys half of the valley's apple orchards", "Growers in the valley fear for the harvest: frost in the night to Sunday destroyed the blossom of every second orchard."),
    ("orchard", "b", 3, "Frost destroys apple blossom, valley growers fear for harvest", "Every second apple orchard in the valley lost its blossom to frost in the night to Sunday."),
    ("orchard", "d", 4, "Valley apple growers ask for help after frost", "After frost destroyed the blossom in half of the orchards, apple growers in the valley ask the state for help."),
    ("museum", "b", 5, "Stolen painting returns to town museum after thirty years", "The small landscape stolen from the museum in 1990 was found in an attic and hangs in its place again."),
    ("museum", "c", 5, "Painting stolen in 1990 found in attic, back in museum", "A landscape that was stolen from the town museum thirty years ago was found in an attic."),
    ("museum2", "d", 6, "Museum opens its new wing with a night of music", "The town museum's new wing has room for four hundred paintings; the opening night is free."),
    ("bridge", "a", 7, "Old bridge closed: cracks found in two pillars", "The river bridge is closed to all traffic from today because engineers found cracks in two pillars."),
    ("bridge", "c", 7, "Cracks in pillars close river bridge to all traffic", "Engineers found cracks in two pillars of the old bridge over the river; it is closed from today."),
    ("bridge", "d", 8, "How long will the bridge stay closed? Engineers answer", "Cracks in two pillars closed the old river bridge; engineers expect repairs to take until autumn."),
    ("tram", "b", 10, "Tram drivers strike on Monday for better shifts", "No tram runs on Monday: the drivers strike for shifts that leave time to rest."),
    ("tram", "d", 10, "No trams on Monday as drivers strike over shifts", "Drivers of the city's trams strike on Monday because their shifts leave no time to rest."),
    ("bus", "b", 10, "Bus line 12 gets electric buses", "From autumn line 12 runs with electric buses only; the depot gets forty chargers."),
    ("choir", "a", 12, "Village choir sings for full house after choirmaster's return", "The choirmaster is back, and the village hall had no empty seat."),
    ("fire", "c", 13, "Fire in bakery: nobody hurt, roof lost", "A fire in the bakery on the market square took the roof in the early morning; nobody was hurt."),
    ("fire", "d", 13, "Bakery on market square loses roof to fire", "The early morning fire in the bakery took its roof, nobody was hurt."),
    ("fire2", "c", 13, "Fire brigade shows its new ladder on market day", "The ladder reaches the tenth floor; children may climb to the second."),
    ("old", "d", 40, "Frost and apples: what the orchards learned", "Growers now light candles among the trees when frost threatens the blossom of the orchards."),
)  # fmt: skip


def small_set() -> list[Item]:
    """Return the set in the form that `collection.load` returns for a folder."""
    items = [
        Item(number, f"https://{site}.example/{number}", str(number), day * 86_400.0 + number, title, excerpt, 50,
             blake2b(str(number).encode(), digest_size=16).digest(), f"{site}.example")
        for number, (_, site, day, title, excerpt) in enumerate(ARTICLES, 1)
    ]  # fmt: skip
    for item in items:
        event = ARTICLES[item.number - 1][0]
        item.related = {other.number for other in items if ARTICLES[other.number - 1][0] == event} - {item.number}
    return items
