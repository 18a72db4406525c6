/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file gguf.h (private to model)
 * What GGUF calls a model's shape and tensors, and how their values lie there.
 *
 * Three things differ from Hugging Face's files. Matrices of gpt2 are turned. Rows of q and k of
 * llama stand in pairs: row h·D + 2j + a of a head of D rows is row h·D + a·D/2 + j here (a = 0, 1),
 * since llama.cpp rotates neighbours in that family and halves in all others. And the scaling of
 * rotary frequencies that Llama 3 has is a tensor, rope_freqs.weight: by what each is divided.
 *
 * Source: the description of GGUF in the ggml project; the writing side is llama.cpp's
 * convert_hf_to_gguf.
 */
#ifndef OUTERLOOP_MODEL_GGUF_H
#define OUTERLOOP_MODEL_GGUF_H

#include "outerloop/model/model.h"
#include "outerloop/store/gguf.h"

/* How a tensor's values lie in a file. */
typedef enum ol_lie {
    OL_LIE_PLAIN,
    OL_LIE_TURNED, /* a matrix [cols,rows]                        */
    OL_LIE_PAIRED, /* rows of heads, pairs next to each other     */
} ol_lie;

/* The shape that a file tells. What it asks for and this program does not do is refused by name.
 * Errors: OL_EDATA. */
ol_status ol_gguf_read_spec(const ol_gguf *file, ol_model_spec *out);

/* What GGUF calls one of our tensors, and how it lies. @return false when it has no name there */
bool ol_gguf_name(int family, const ol_param *param, char name[128], ol_lie *lie);

/* Tensors that are no weights of the model: the scaling of frequencies, and a head that is tied. */
bool ol_gguf_passes_over(const ol_model_spec *spec, const char *name);

#endif
