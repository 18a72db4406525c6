/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta.h"

#include "world.h"

size_t delta_of(int steps, double **delta)
{
    world w = world_make();
    const ol_learner_spec spec = world_learner(OL_ADAMW, OL_MOMENTS_READ, steps);
    const size_t P = w.model->P;
    outcome o = world_run(&w, &spec);

    *delta = o.status == OL_OK ? malloc(P * sizeof **delta) : NULL;
    for (size_t i = 0; *delta && i < P; i++)
        (*delta)[i] = (double)o.delta[i];
    outcome_finish(&o);
    world_finish(&w);
    return P;
}
