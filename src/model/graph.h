/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file graph.h (private to model)
 * The steps of one model, with all that follows from its family, its shape and what is trained.
 *
 * An instance is the embedding (0), a block (1 .. L) or the final norm (L+1). Over all instances in
 * order, with S the slots of one:
 *
 *   live     slots that depend on a trained tensor: only they have adjoints
 *   moves    slots that depend on a tensor that the inner loop moves: only they have tangents
 *   keeps    a step that bends a live input, or has a trained weight, reads x in derivative walks and
 *            y_bar in tangent walks; all other steps read neither
 *   values   slots read by a step that keeps. Those that only cheap steps make from other kept ones
 *            are not kept but made again (refreshed) when a walk comes to them
 *   tangents of the same slots, where they move, kept between the tangent walks forward and back
 *   adjoints that a tangent walk reads: of slots that a step that keeps writes. Those that only cheap
 *            steps give back are not kept but made again (redone), which needs the adjoints of what
 *            these steps write
 *
 * So with everything trained about 7 rows of width C a block are kept of adjoints and 10 of values;
 * with LoRA no product is done for a frozen weight and nothing before the first adapter.
 */
#ifndef OUTERLOOP_MODEL_GRAPH_H
#define OUTERLOOP_MODEL_GRAPH_H

#include "family.h"

/* A set of slots: bit s. */
typedef unsigned ol_slots;

/* Weights of a step: a part of a tensor. */
typedef struct ol_operand {
    int tensor;            /* index into ol_tensors */
    const ol_param *param; /* the model's own, once bound; NULL: no weights */
    bool trained;
    size_t at; /* reals from the start of the tensor */
    int rows, cols, ld;
} ol_operand;

typedef struct ol_graph_step {
    const ol_operator *op;
    ol_op_spec spec;
    ol_slot out, in[OL_OP_INPUTS];
    ol_operand w[OL_OP_WEIGHTS];
    unsigned add; /* bit i: the adjoint of in[i] is added to, a later step having begun it     */
    bool keeps;
    bool gives;       /* the backward walk has something to do here                               */
    bool gives_moved; /* the same when adjoints are wanted of what the inner loop moves alone     */
    ol_slots refresh; /* to be made again before this step's part of a walk back                  */
    ol_slots redo;    /* of its inputs, whose adjoints a tangent walk makes again                 */
} ol_graph_step;

typedef struct ol_instance {
    int n_steps;
    ol_graph_step steps[OL_MOST_STEPS];
    ol_slots live, moves;
    ol_slots values, tangents, adjoints; /* kept, each in memory of its own */
    ol_slots refreshed;
    ol_slots used; /* slots that any step reads or writes */
} ol_instance;

struct ol_graph {
    int n; /* instances: L+2 */
    ol_instance *instances;
    ol_operand head;   /* [V,C] */
    double *frequency; /* [D/2] of rotary positions, or NULL */
};

/* A table of tensors that grows. */
typedef struct ol_tensors {
    int n, n_adapters;
    ol_param *params; /* [n] with offset 0 */
} ol_tensors;

/* The steps of a model, and its tensors in the order that steps name them.
 * Errors: OL_EUSAGE (a target of lora names nothing), OL_ENOMEM. */
ol_status ol_graph_build(const ol_model_spec *spec, const ol_trained_spec *trained, bool lora,
                         ol_tensors *tensors, ol_graph **out);

/* Point the operands at the model's tables: home[i] is where tensor i went. Then work out all that
 * follows from what is trained. */
void ol_graph_bind(ol_graph *graph, const ol_model *model, const ol_param *const *home);

void ol_graph_destroy(ol_graph *graph);

/* Rotary frequency j of a shape with a head_dim: θ^(-2j/D), those of llama3 stretched at long
 * wavelengths as Meta does. */
double ol_rope_frequency(const ol_model_spec *spec, int j);

/* Reals of a row of a slot. */
int ol_slot_width(const ol_model_spec *spec, ol_slot slot);

/* True when slot s of instance i has a row for each query of the last block alone. */
static inline bool ol_slot_of_queries(const ol_graph *graph, int i, ol_slot s)
{
    return i == graph->n - 1 || (i == graph->n - 2 && ol_slot_kinds[s].queries);
}

#endif
