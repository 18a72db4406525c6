/* SPDX-License-Identifier: BSD-3-Clause */
#include "suite_parts.h"

#define M(category) (UINT64_C(1) << (category))

/* Domains. MUSIC, TREASURE, boats and planets are spoken of in SUITE_UNSEEN tasks only. */
#define ALIVE (M(ANIMAL) | M(BIRD) | M(FISH) | M(INSECT))
#define PLANTS (M(TREE) | M(FLOWER) | M(FRUIT))
#define TABLE (M(FRUIT) | M(FOOD) | M(DRINK) | M(KITCHEN))
#define HOME (M(TOOL) | M(GARMENT) | M(FURNITURE) | M(KITCHEN))
#define STUFF (M(CLOTH) | M(METAL) | M(COLOR))
#define TOWN (M(VEHICLE) | M(BUILDING) | M(JOB) | M(SPORT))
#define PEOPLE (M(JOB) | M(FAMILY) | M(BODY) | M(SPORT))
#define OUTDOORS (M(WEATHER) | M(LAND) | M(TREE) | M(ANIMAL))
#define SIZED (ALIVE | HOME | M(VEHICLE) | M(BUILDING))
#define MUSIC (M(INSTRUMENT) | M(DANCE))
#define TREASURE (M(GEM) | M(COIN))
#define UNKNOWN (MUSIC | TREASURE | M(BOAT) | M(PLANET))
/* Met in most tasks, so that each of their words is met often. */
#define CORE                                                                                       \
    (M(ANIMAL) | M(BIRD) | M(FISH) | M(TREE) | M(FRUIT) | M(FOOD) | M(DRINK) | M(TOOL) |           \
     M(GARMENT) | M(METAL) | M(VEHICLE) | M(JOB))

/* Sets of suite_properties. */
enum { OF_LIFE = 0x1e1, OF_HOME = 0xe1e, OF_ANY = 0xfff };

/* A row of the table by kind of task: name, role, choices, template, labels, categories. */
#define SORT(name, role, n, ...)                                                                   \
    {                                                                                              \
        name, SUITE_CLASS, role, suite_make_sort, n, {"$1/$2/$3"}, __VA_ARGS__, 0                  \
    }
#define QA(name, role, make, n, text, variant, ...)                                                \
    {                                                                                              \
        name, SUITE_QA, role, make, n, {text}, {0}, {__VA_ARGS__}, variant                         \
    }
#define NLI(name, role, make, text, yes, no, ...)                                                  \
    {                                                                                              \
        name, SUITE_NLI, role, make, 2, {text}, {yes, no}, {__VA_ARGS__}, 0                        \
    }
#define PARA(name, role, make, text, yes, no, variant, ...)                                        \
    {                                                                                              \
        name, SUITE_PARAPHRASE, role, make, 2, {text}, {yes, no}, {__VA_ARGS__}, variant           \
    }
#define LIST(name, role, text, variant, words)                                                     \
    {                                                                                              \
        name, SUITE_OTHER, role, suite_make_list, 1, {text}, {0}, {words}, variant                 \
    }

/* A task's place in the table keys its random stream: new tasks go to the end. */
const suite_task suite_tasks[] = {
    /* Classification: which class is this a list of? Targets have labels that no training task has:
     * names of categories that questions taught, words that mean nothing, and unseen domains. */
    SORT("sort-nature", SUITE_TRAIN, 2, {"animal", "fruit"}, {M(ANIMAL), M(FRUIT)}),
    SORT("sort-small", SUITE_TRAIN, 2, {"fish", "insect"}, {M(FISH), M(INSECT)}),
    SORT("sort-house", SUITE_TRAIN, 3, {"tool", "garment", "furniture"},
         {M(TOOL), M(GARMENT), M(FURNITURE)}),
    SORT("sort-stuff", SUITE_TRAIN, 3, {"metal", "cloth", "color"}, {M(METAL), M(CLOTH), M(COLOR)}),
    SORT("sort-people", SUITE_TRAIN, 2, {"job", "relative"}, {M(JOB), M(FAMILY)}),
    SORT("sort-mood", SUITE_TRAIN, 2, {"praise", "blame"}, {M(JOY), M(GLOOM)}),
    SORT("sort-street", SUITE_TRAIN, 2, {"vehicle", "building"}, {M(VEHICLE), M(BUILDING)}),
    SORT("sort-meal", SUITE_TRAIN, 2, {"drink", "food"}, {M(DRINK), M(FOOD)}),
    SORT("sort-trip", SUITE_TRAIN, 2, {"weather", "place"}, {M(WEATHER), M(LAND)}),
    SORT("sort-sport", SUITE_TRAIN, 2, {"sport", "limb"}, {M(SPORT), M(BODY)}),
    SORT("sort-doors", SUITE_TRAIN, 2, {"left", "right"}, {M(FOOD), M(CLOTH)}),
    SORT("sort-stairs", SUITE_TRAIN, 2, {"up", "down"}, {M(METAL), M(ANIMAL)}),
    SORT("sort-forest", SUITE_TARGET, 2, {"bird", "tree"}, {M(BIRD), M(TREE)}),
    SORT("sort-market", SUITE_TARGET, 2, {"in", "out"}, {M(DRINK), M(GARMENT)}),
    SORT("sort-music", SUITE_UNSEEN, 2, {"one", "two"}, {M(INSTRUMENT), M(DANCE)}),
    SORT("sort-treasure", SUITE_UNSEEN, 2, {"gem", "coin"}, {M(GEM), M(COIN)}),

    /* Questions with options. Targets ask in other words, with another number of options. */
    QA("kind-nature", SUITE_TRAIN, suite_make_kind, 3, "$o: which is the $k?", SUITE_IS,
       ALIVE | PLANTS, CORE),
    QA("kind-home", SUITE_TRAIN, suite_make_kind, 3, "$o: find the $k", SUITE_IS, HOME | TABLE,
       CORE),
    QA("kind-town", SUITE_TRAIN, suite_make_kind, 3, "$o: pick the $k", SUITE_IS, TOWN | PEOPLE,
       CORE),
    QA("kind-stuff", SUITE_TRAIN, suite_make_kind, 2, "$o: choose the $k", SUITE_IS,
       STUFF | OUTDOORS, CORE),
    QA("kind-all", SUITE_TRAIN, suite_make_kind, 3, "$o: what is the $k?", SUITE_IS, CORE, CORE),
    QA("kind-not", SUITE_SPARE, suite_make_kind, 3, "$o: which is no $k?", SUITE_IS_NOT, CORE,
       CORE),
    QA("odd-one", SUITE_SPARE, suite_make_odd, 3, "$o: which is the odd one?", 0, CORE, CORE),
    QA("use-life", SUITE_TRAIN, suite_make_property, 3, "$o: which $k?", 0, OF_LIFE),
    QA("use-home", SUITE_TRAIN, suite_make_property, 2, "$o: which $k?", 0, OF_HOME),
    QA("use-all", SUITE_TRAIN, suite_make_property, 2, "$o: what $k?", 0, OF_ANY),
    QA("size-bigger", SUITE_TRAIN, suite_make_size, 2, "$o: which is bigger?", SUITE_BIGGER, SIZED),
    QA("size-living", SUITE_TRAIN, suite_make_size, 2, "$o: find the bigger", SUITE_BIGGER, ALIVE),
    QA("size-home", SUITE_TRAIN, suite_make_size, 2, "$o: the bigger is", SUITE_BIGGER,
       HOME | M(VEHICLE)),
    QA("size-smaller", SUITE_SPARE, suite_make_size, 2, "$o: which is smaller?", SUITE_SMALLER,
       SIZED),
    QA("opposite-choice", SUITE_TRAIN, suite_make_relation, 2, "$o: opposite of ($k)?",
       SUITE_OPPOSITE),
    QA("synonym-choice", SUITE_TRAIN, suite_make_relation, 2, "$o: same as ($k)?", SUITE_SYNONYM),
    QA("kind-any", SUITE_TARGET, suite_make_kind, 4, "$o: name one $k", SUITE_IS, CORE, CORE),
    QA("use-any", SUITE_TARGET, suite_make_property, 3, "$o: say which $k", 0, OF_ANY),
    QA("size-largest", SUITE_TARGET, suite_make_size, 2, "$o: take the large one", SUITE_BIGGER,
       SIZED),
    QA("kind-music", SUITE_UNSEEN, suite_make_kind, 3, "$o: which is the $k?", SUITE_IS, MUSIC,
       UNKNOWN),

    /* Inference: does the second part follow? Targets pair a known step with other labels. */
    NLI("entail-alive", SUITE_TRAIN, suite_make_sort, "$1/$2/$3 so it lives", "true", "false",
        M(ANIMAL) | M(BIRD) | M(FISH), M(TOOL) | M(METAL) | M(GARMENT)),
    NLI("entail-eaten", SUITE_TRAIN, suite_make_sort, "$1/$2/$3 so we eat", "yes", "no",
        M(FRUIT) | M(FOOD), M(TOOL) | M(METAL)),
    NLI("entail-runs", SUITE_TRAIN, suite_make_cue, "$2 runs so it runs ($1)", "yes", "no",
        M(ASSENT), M(DENIAL), ALIVE | M(JOB) | M(FAMILY)),
    NLI("entail-works", SUITE_TRAIN, suite_make_cue, "$2 works so it works ($1)", "right", "wrong",
        M(ASSENT), M(DENIAL), HOME | M(VEHICLE) | M(BODY)),
    NLI("entail-kind", SUITE_SPARE, suite_make_entail_kind, "$1/$2: so there is some $k", "true",
        "false", CORE, CORE),
    NLI("entail-mention", SUITE_SPARE, suite_make_entail_mention, "$1/$2/$3: so there is ($k)",
        "right", "wrong", CORE),
    NLI("entail-sleeps", SUITE_TARGET, suite_make_cue, "$2 sleeps so it sleeps ($1)", "true",
        "false", M(ASSENT), M(DENIAL), ALIVE | M(JOB) | M(FAMILY)),
    NLI("entail-sea", SUITE_UNSEEN, suite_make_sort, "$1/$2/$3 so it floats", "yes", "no", M(BOAT),
        M(PLANET)),

    /* Paraphrase: do both parts say the same? */
    PARA("same-liked", SUITE_TRAIN, suite_make_cue, "$2 we like, or $2 ($1)", "same", "other", 0,
         M(JOY), M(GLOOM), TOWN | M(LAND) | M(GARMENT)),
    PARA("same-said", SUITE_TRAIN, suite_make_cue, "$2 came, or came ($1)", "same", "other", 0,
         M(ASSENT), M(DENIAL), ALIVE | M(JOB) | M(FAMILY)),
    PARA("same-list", SUITE_SPARE, suite_make_same_list, "$1/$2, or ($3/$4)", "same", "other", 0,
         CORE),
    PARA("same-quality", SUITE_SPARE, suite_make_same_quality, "$1/$3, or ($2/$3)", "yes", "no",
         SUITE_SYNONYM, CORE),
    PARA("same-praise", SUITE_TARGET, suite_make_cue, "$2 so fine, or $2 ($1)", "right", "wrong", 0,
         M(JOY), M(GLOOM), TOWN | M(LAND) | M(GARMENT)),
    PARA("same-treasure", SUITE_UNSEEN, suite_make_same_list, "$1/$2, or ($3/$4)", "same", "other",
         0, TREASURE | M(PLANET)),

    /* Free-form: names, opposites, copies. */
    LIST("name-nature", SUITE_TRAIN, "$o is a kind of:", SUITE_NAME, ALIVE | PLANTS),
    LIST("name-home", SUITE_TRAIN, "$o is a kind of:", SUITE_NAME, HOME | TABLE),
    LIST("name-town", SUITE_TRAIN, "$o is a kind of:", SUITE_NAME, TOWN | PEOPLE),
    LIST("name-all", SUITE_TRAIN, "$o we call it:", SUITE_NAME, CORE),
    LIST("list-opposites", SUITE_TRAIN, "$2 is no more ($1) but:", SUITE_TURN, CORE),
    LIST("list-repeat", SUITE_SPARE, "$o and again:", SUITE_REPEAT, CORE),
};

const int suite_task_count = sizeof suite_tasks / sizeof suite_tasks[0];
