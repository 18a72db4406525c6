/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta.h"

#include "world.h"

static ol_model *fresh_model(void)
{
    const ol_model_spec spec = {.layers = 2,
                                .heads = 4,
                                .width = 32,
                                .vocab = 97,
                                .context = 64,
                                .norm_eps = 1e-5,
                                .tied = true};
    ol_model *model = NULL;

    if (ol_model_create(&spec, NULL, &model) != OL_OK)
        abort();
    return model;
}

static ol_learner_spec learner_of(const delta_case *c)
{
    ol_learner_spec spec = world_learner(OL_ADAMW, (ol_moments)c->moments, c->steps);

    spec.adam = (ol_adam_spec)OL_ADAM_SPEC_INIT;
    spec.adam.lr = c->lr;
    spec.adam.eps_root = c->eps_root;
    return spec;
}

size_t delta_start(const delta_case *c, float **start)
{
    world w = {.model = fresh_model()};
    const size_t P = w.model->P;
    const ol_learner_spec spec = learner_of(c);
    ol_real *all = tiny_reals(3 * P), *g = tiny_reals(P);

    ol_model_random(w.model, c->seed, all, NULL);
    for (int k = 0; k < c->before; k++) {
        ol_batch batch = tiny_batch(4, 6, 40, 97, 1000 * c->seed + (uint32_t)k);

        world_loss(&w, &batch, all, g);
        world_step(w.model, &spec, k + 1, g, all, all + P, all + 2 * P);
        ol_batch_finish(&batch);
    }
    *start = malloc(3 * P * sizeof **start);
    for (size_t i = 0; *start && i < 3 * P; i++)
        (*start)[i] = (float)all[i];
    free(all), free(g);
    world_finish(&w);
    return P;
}

size_t delta_of(const delta_case *c, const float *start, double **delta)
{
    world w = {.model = fresh_model()};
    const size_t P = w.model->P;
    const ol_learner_spec spec = learner_of(c);
    ol_real *parts[3] = {tiny_reals(P), tiny_reals(P), tiny_reals(P)};
    outcome o;

    for (size_t i = 0; i < 3 * P; i++)
        parts[i / P][i % P] = start[i];
    w.state = (ol_state){.theta = parts[0], .m = parts[1], .v = parts[2], .t = c->before};
    w.episode.support = tiny_batch(4, 6, 40, 97, 2 * c->seed);
    w.episode.query = tiny_batch(4, 6, 40, 97, 2 * c->seed + 1);
    o = world_run(&w, &spec);
    *delta = o.status == OL_OK ? malloc(P * sizeof **delta) : NULL;
    for (size_t i = 0; *delta && i < P; i++)
        (*delta)[i] = (double)o.delta[i];
    outcome_finish(&o);
    world_finish(&w);
    return P;
}
