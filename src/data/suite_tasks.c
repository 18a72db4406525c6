/* SPDX-License-Identifier: BSD-3-Clause */
#include "suite_parts.h"

#define M(category) (UINT64_C(1) << (category))

/* Domains. MUSIC, TREASURE, SEA and SKY are spoken of in SUITE_UNSEEN tasks only. */
#define ALIVE (M(ANIMAL) | M(BIRD) | M(FISH) | M(INSECT))
#define PLANTS (M(TREE) | M(FLOWER) | M(FRUIT))
#define TABLE (M(FRUIT) | M(FOOD) | M(DRINK) | M(KITCHEN))
#define HOME (M(TOOL) | M(GARMENT) | M(FURNITURE) | M(KITCHEN))
#define STUFF (M(CLOTH) | M(METAL) | M(COLOR))
#define TOWN (M(VEHICLE) | M(BUILDING) | M(JOB) | M(SPORT))
#define PEOPLE (M(JOB) | M(FAMILY) | M(BODY) | M(SPORT))
#define OUTDOORS (M(WEATHER) | M(LAND) | M(TREE) | M(ANIMAL))
#define MOOD (M(JOY) | M(GLOOM))
#define THINGS (ALIVE | PLANTS | TABLE | HOME | STUFF | TOWN | PEOPLE | OUTDOORS)
#define SIZED (ALIVE | HOME | M(VEHICLE) | M(BUILDING))
#define MUSIC (M(INSTRUMENT) | M(DANCE))
#define TREASURE (M(GEM) | M(COIN))

enum { BIGGER, SMALLER };
enum { IS, IS_NOT };
enum { OPPOSITE, SYNONYM, MOVE };
enum { REPEAT, REVERSE, KINDS, OPPOSITES, SYNONYMS, ORDER };

#define SORT(name, role, n, ...)                                                                   \
    {                                                                                              \
        name, SUITE_CLASS, role, suite_make_sort, n, __VA_ARGS__                                   \
    }
#define QA(name, role, make, n, ...)                                                               \
    {                                                                                              \
        name, SUITE_QA, role, make, n, __VA_ARGS__                                                 \
    }
#define NLI(name, role, make, n, ...)                                                              \
    {                                                                                              \
        name, SUITE_NLI, role, make, n, __VA_ARGS__                                                \
    }
#define PARA(name, role, make, ...)                                                                \
    {                                                                                              \
        name, SUITE_PARAPHRASE, role, make, 2, __VA_ARGS__                                         \
    }
#define LIST(name, kind, words, ...)                                                               \
    {                                                                                              \
        name, SUITE_OTHER, SUITE_TRAIN, suite_make_list, 1, {__VA_ARGS__}, {0}, {words}, kind      \
    }

/* Order and numbers matter: a task's number keys its random stream. New tasks go to the end. */
const suite_task suite_tasks[] = {
    /* Classification: which class of words is this a list of? */
    SORT("sort-nature", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"animal", "plant"}, {ALIVE, PLANTS}, 0),
    SORT("sort-farm", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"fruit", "tree"}, {M(FRUIT), M(TREE)}, 0),
    SORT("sort-wings", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"yes", "no"}, {M(BIRD), M(FISH)}, 0),
    SORT("sort-garden", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"no", "yes"}, {M(FLOWER), M(INSECT)}, 0),
    SORT("sort-house", SUITE_TRAIN, 3, {"$1/$2/$3"}, {"tool", "garment", "furniture"},
         {M(TOOL), M(GARMENT), M(FURNITURE)}, 0),
    SORT("sort-meal", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"left", "right"}, {M(FOOD), M(DRINK)}, 0),
    SORT("sort-street", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"right", "left"}, {M(VEHICLE), M(BUILDING)},
         0),
    SORT("sort-stuff", SUITE_TRAIN, 3, {"$1/$2/$3"}, {"metal", "cloth", "color"},
         {M(METAL), M(CLOTH), M(COLOR)}, 0),
    SORT("sort-people", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"job", "relative"}, {M(JOB), M(FAMILY)}, 0),
    SORT("sort-mood", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"praise", "blame"}, {M(JOY), M(GLOOM)}, 0),
    SORT("sort-review", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"bad", "good"}, {M(GLOOM), M(JOY)}, 0),
    SORT("sort-sport", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"up", "down"}, {M(SPORT), M(BODY)}, 0),
    SORT("sort-trip", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"down", "up"}, {M(WEATHER), M(LAND)}, 0),
    SORT("sort-shop", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"up", "down"}, {M(KITCHEN), M(CLOTH)}, 0),
    SORT("sort-fields", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"left", "right"}, {M(INSECT), M(FRUIT)}, 0),
    SORT("sort-paint", SUITE_TRAIN, 2, {"$1/$2/$3"}, {"yes", "no"}, {M(COLOR), M(TOOL)}, 0),
    SORT("sort-forest", SUITE_TARGET, 2, {"$1/$2/$3"}, {"one", "two"}, {M(BIRD), M(TREE)}, 0),
    SORT("sort-market", SUITE_TARGET, 2, {"$1/$2/$3"}, {"in", "out"}, {M(FOOD), M(GARMENT)}, 0),
    SORT("sort-music", SUITE_UNSEEN, 2, {"$1/$2/$3"}, {"up", "down"}, {M(INSTRUMENT), M(DANCE)}, 0),
    SORT("sort-treasure", SUITE_UNSEEN, 2, {"$1/$2/$3"}, {"gem", "coin"}, {M(GEM), M(COIN)}, 0),

    /* Questions with options. */
    QA("kind-nature", SUITE_TRAIN, suite_make_kind, 3, {"which is the $k? ($o)"}, {0},
       {ALIVE | PLANTS, THINGS}, IS),
    QA("kind-home", SUITE_TRAIN, suite_make_kind, 3, {"find the $k ($o)"}, {0},
       {HOME | TABLE, THINGS}, IS),
    QA("kind-town", SUITE_TRAIN, suite_make_kind, 3, {"pick the $k ($o)"}, {0},
       {TOWN | PEOPLE, THINGS}, IS),
    QA("kind-stuff", SUITE_TRAIN, suite_make_kind, 2, {"the $k is ($o)"}, {0},
       {STUFF | OUTDOORS, THINGS}, IS),
    QA("kind-not", SUITE_TRAIN, suite_make_kind, 3, {"which is not a $k? ($o)"}, {0},
       {THINGS, THINGS}, IS_NOT),
    QA("odd-nature", SUITE_TRAIN, suite_make_odd, 3, {"the odd one of ($o)"}, {0},
       {ALIVE | PLANTS, THINGS}, 0),
    QA("odd-home", SUITE_TRAIN, suite_make_odd, 4, {"does not belong: ($o)"}, {0},
       {HOME | TABLE, THINGS}, 0),
    QA("use-life", SUITE_TRAIN, suite_make_property, 3, {"which $k? ($o)"}, {0}, {0x1e1}, 0),
    QA("use-home", SUITE_TRAIN, suite_make_property, 2, {"say which $k ($o)"}, {0}, {0xe1e}, 0),
    QA("size-bigger", SUITE_TRAIN, suite_make_size, 2, {"which is bigger? ($o)"}, {0}, {SIZED},
       BIGGER),
    QA("size-smaller", SUITE_TRAIN, suite_make_size, 2, {"which is smaller? ($o)"}, {0}, {SIZED},
       SMALLER),
    QA("opposite-choice", SUITE_TRAIN, suite_make_relation, 3, {"the opposite of ($k) is ($o)"},
       {0}, {0}, OPPOSITE),
    QA("synonym-choice", SUITE_TRAIN, suite_make_relation, 3, {"the same as ($k) is ($o)"}, {0},
       {0}, SYNONYM),
    QA("kind-any", SUITE_TARGET, suite_make_kind, 4, {"one of ($o) is a $k"}, {0}, {THINGS, THINGS},
       IS),
    QA("use-any", SUITE_TARGET, suite_make_property, 3, {"of ($o) which $k?"}, {0}, {0xfff}, 0),
    QA("size-largest", SUITE_TARGET, suite_make_size, 2, {"take the large one ($o)"}, {0}, {SIZED},
       BIGGER),
    QA("kind-music", SUITE_UNSEEN, suite_make_kind, 3, {"which is the $k? ($o)"}, {0},
       {MUSIC, THINGS}, IS),

    /* Inference. */
    NLI("entail-kind", SUITE_TRAIN, suite_make_entail_kind, 2, {"($1) is $3. so a $k is $3"},
        {"true", "false"}, {ALIVE | PLANTS | HOME, THINGS}, 0),
    NLI("entail-town", SUITE_TRAIN, suite_make_entail_kind, 2, {"if ($1) then a $3 $k"},
        {"yes", "no"}, {TOWN | STUFF | PEOPLE, THINGS}, 0),
    NLI("entail-quality", SUITE_TRAIN, suite_make_entail_quality, 2, {"($1/$3) so ($2/$3)"},
        {"true", "false"}, {THINGS}, 0),
    NLI("entail-mention", SUITE_TRAIN, suite_make_entail_mention, 2,
        {"here: ($1/$2/$3). here is a ($k)"}, {"true", "false"}, {THINGS}, 0),
    NLI("entail-bigger", SUITE_TRAIN, suite_make_entail_size, 2, {"($1) is bigger than ($2)"},
        {"true", "false"}, {SIZED}, BIGGER),
    NLI("entail-smaller", SUITE_TRAIN, suite_make_entail_size, 2, {"($1) is smaller than ($2)"},
        {"yes", "no"}, {SIZED}, SMALLER),
    NLI("entail-any", SUITE_TARGET, suite_make_entail_kind, 2, {"seen: ($1/$2). seen: a $k"},
        {"holds", "fails"}, {THINGS, THINGS}, 0),
    NLI("entail-sea", SUITE_UNSEEN, suite_make_entail_mention, 2,
        {"we saw ($1/$2/$3). we saw ($k)"}, {"yes", "no"}, {M(BOAT)}, 0),

    /* Paraphrase. */
    PARA("same-list", SUITE_TRAIN, suite_make_same_list, {"($1/$2) and ($3/$4)"}, {"same", "other"},
         {THINGS}, 0),
    PARA("same-pair", SUITE_TRAIN, suite_make_same_list, {"($1/$2) is ($3/$4)"}, {"yes", "no"},
         {HOME | ALIVE}, 0),
    PARA("same-kind", SUITE_TRAIN, suite_make_same_kind, {"a $3 ($1) or a $3 ($2)"},
         {"same", "other"}, {THINGS, THINGS}, 0),
    PARA("same-quality", SUITE_TRAIN, suite_make_same_quality, {"($1/$3) and ($2/$3)"},
         {"same", "other"}, {THINGS}, SYNONYM),
    PARA("same-words", SUITE_TARGET, suite_make_same_quality, {"a ($1) ($3) is a ($2) ($3)"},
         {"equal", "unequal"}, {THINGS}, SYNONYM),
    PARA("same-treasure", SUITE_UNSEEN, suite_make_same_list, {"($1/$2) and ($3/$4)"},
         {"same", "other"}, {TREASURE | M(PLANET)}, 0),

    /* Free-form: a list made from a list. */
    LIST("list-repeat", REPEAT, THINGS, "again ($o):"),
    LIST("list-reverse", REVERSE, THINGS, "backwards ($o):"),
    LIST("list-kinds", KINDS, THINGS, "kinds of ($o):"),
    LIST("list-names", KINDS, THINGS, "what are ($o)? "),
    LIST("list-opposites", OPPOSITES, 0, "opposites of ($o):"),
    LIST("list-synonyms", SYNONYMS, 0, "other words for ($o):"),
    LIST("list-sizes", ORDER, SIZED, "from big to small ($o):"),
};

const int suite_task_count = sizeof suite_tasks / sizeof suite_tasks[0];
