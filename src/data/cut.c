/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/data/cut.h"

void ol_cut_example(ol_cut *cut, size_t whole, size_t kept)
{
    const int64_t need = (int64_t)whole + OL_PROMPT_SPARE;

    cut->rows++;
    cut->rows_cut += kept < whole;
    cut->tokens += (int64_t)whole;
    cut->tokens_cut += (int64_t)(whole - kept);
    cut->need_example = need > cut->need_example ? need : cut->need_example;
}

void ol_cut_prompt(ol_cut *cut, size_t whole, size_t kept)
{
    const int64_t need = (int64_t)whole;

    cut->prompts++;
    cut->prompts_cut += kept < whole;
    cut->prompt_tokens += need;
    cut->prompt_tokens_cut += (int64_t)(whole - kept);
    cut->need_prompt = need > cut->need_prompt ? need : cut->need_prompt;
}

void ol_cut_add(ol_cut *sum, const ol_cut *more)
{
    sum->rows += more->rows;
    sum->rows_cut += more->rows_cut;
    sum->tokens += more->tokens;
    sum->tokens_cut += more->tokens_cut;
    sum->prompts += more->prompts;
    sum->prompts_cut += more->prompts_cut;
    sum->prompt_tokens += more->prompt_tokens;
    sum->prompt_tokens_cut += more->prompt_tokens_cut;
    if (more->need_example > sum->need_example)
        sum->need_example = more->need_example;
    if (more->need_prompt > sum->need_prompt)
        sum->need_prompt = more->need_prompt;
}

double ol_cut_share(int64_t part, int64_t n)
{
    return n > 0 ? (double)part / (double)n : 0.0;
}
