/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/job/job.h
 * What to do: the values of a job file, checked, as one struct.
 *
 * The file is libconfig's; its keys, defaults, ranges and units are the table in src/job/job_keys.c and,
 * for people, cfg/reference.cfg, which is written from that table. The fields below carry the names
 * of their keys. Only `run` and `cli` see this struct; the rooms below take specs of their own.
 *
 * Gradient evaluations. What a comparison of learners holds equal is the work, counted in gradients
 * of one prompt (a Hessian product is two). One meta-step of N episodes with S support and Q query
 * prompts and K inner steps does
 *
 *   maml, meta-sgd, order 2   N (3 K S + Q)        reptile               N K S
 *   maml, meta-sgd, order 1   N (  K S + Q)        metaicl, multitask    N (S + Q)
 *
 * and an arm makes round(steps × evaluations(base learner) / evaluations(arm)) meta-steps. Its
 * learner.outer.warmup is rescaled alike, unless the arm itself says one.
 *
 * Everything here is local.
 */
#ifndef OUTERLOOP_JOB_JOB_H
#define OUTERLOOP_JOB_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/digest.h" /* OL_DIGEST_TEXT */
#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/base/text.h"   /* ol_text */
#include "outerloop/conf/conf.h"   /* ol_conf, ol_conf_ints */
#include "outerloop/data/task.h"   /* ol_holdout */
#include "outerloop/meta/outer.h"  /* ol_learner_spec, ol_outer_spec */

/** Bits of ol_job.stages; they run in this order, whatever the order in the file. */
enum { OL_STAGE_TRAIN = 1, OL_STAGE_EVAL = 2, OL_STAGE_ADAPT = 4 };

typedef enum ol_job_init {
    OL_INIT_RANDOM,
    OL_INIT_IMPORT,    /**< a Hugging Face folder or GGUF file, `path`   */
    OL_INIT_CHECKPOINT /**< parameters of one of our checkpoints, `path` */
} ol_job_init;

/** model: the network all arms start from. */
typedef struct ol_job_model {
    int init;   /**< ol_job_init                                                          */
    char *path; /**< folder or checkpoint; "" when random                                 */
    ol_model_spec shape;     /**< of a random model; vocab 0 = the tokenizer's            */
    ol_conf_strings trained; /**< "all", "lora", or patterns of tensor names              */
    int frozen;              /**< 1: matrices that are not trained are stored as bfloat16 */
    struct {
        int rank;
        double alpha;
        char *path;              /**< folder of an adapter to begin with; "" = a new one */
        ol_conf_strings targets; /**< resolved: the family's usual ones where the file has none */
        bool rslora;
    } lora;
} ol_job_model;

/** data: tasks and how they become prompts. */
typedef struct ol_job_data {
    char *root;                 /**< task folder; "" = the built-in suite                   */
    char *setting;              /**< ROOT/config/<setting>.json                             */
    int variant;                /**< ol_variant                                             */
    char *tokenizer;            /**< folder of tokenizer.json or the like; "" = the suite's */
    int shots;                  /**< demonstrations of a prompt (k)                         */
    int max_tokens;             /**< a prompt's most; the context is cut from the left      */
    int max_tokens_per_example; /**< one example's most                                     */
    int train_cap;              /**< rows used of a training task, 0 = all                  */
    int holdout;                /**< training tasks scored and not trained on, 0 = none     */
    bool strict;                /**< test rows that cannot be scored are refused, not skipped */
} ol_job_data;

/** learner.inner: the steps on one task; adaptation at test time uses it too. */
typedef struct ol_job_inner {
    int optimizer; /**< ol_optimizer                               */
    int steps;     /**< K                                          */
    double lr, beta1, beta2, eps, eps_root, weight_decay;
    int moments;            /**< ol_moments: what it shares with outer    */
    int storage;            /**< ol_storage: of the inner primal work     */
    int storage_mib;        /**< of ol_storage auto                       */
    ol_conf_strings adapts; /**< patterns: what it moves; none: all that is trained */
} ol_job_inner;

/** learner.outer: AdamW on the mean of the episodes' gradients, or interpolation. */
typedef struct ol_job_outer {
    double lr;
    double interpolation; /**< of learners that interpolate, in the place of lr  */
    int schedule;         /**< ol_schedule_shape, over this arm's train.steps */
    int warmup;           /**< meta-steps from 0 to lr                      */
    double beta1, beta2, eps, eps_root, weight_decay;
    double max_grad_norm; /**< 0 = no clipping                       */
} ol_job_outer;

/** learner.rates: inner rates that are learned, by learners that do. */
typedef struct ol_job_rates {
    int per;   /**< ol_rates                                  */
    double lr; /**< their outer rate; 0 = learner.outer.lr    */
} ol_job_rates;

/** learner: the one part in which the arms of a comparison differ. */
typedef struct ol_job_learner {
    char *algorithm;     /**< name of an ol_learner; known once the job is read */
    int order;           /**< 1 or 2, of maml                        */
    bool demonstrations; /**< false: its prompts have none; see ol_job_demonstrations */
    int episodes;        /**< N, tasks of a meta-step                */
    int support, query;  /**< prompts of each side of an episode     */
    ol_job_inner inner;
    ol_job_outer outer;
    ol_job_rates rates;
} ol_job_learner;

/** train: how long, and what is kept on the way. */
typedef struct ol_job_train {
    int steps;            /**< meta-steps of the base learner; in an arm, the arm's own       */
    int checkpoint_every; /**< meta-steps, 0 = not by steps                                   */
    double
        checkpoint_minutes; /**< 0 = not by time                                                */
    double stall_minutes;   /**< ranks that do not answer so long end the run; 0 = never        */
    int keep_last;          /**< newest checkpoints kept, at least 1                            */
    int keep_every;         /**< checkpoints whose step is a multiple stay too, 0 = none        */
    double log_seconds;     /**< least time between two progress lines off a terminal           */
    int before_every;       /**< meta-steps; 0 = never: the query loss before adaptation too     */
    bool second_order_share; /**< also record ‖Δ−Δ₁‖/‖Δ₁‖ (a first-order pass more an episode)    */
    bool timers;     /**< where the seconds of meta-steps go, in train/phase             */
    int max_dropped; /**< steps in a row with a dropped episode before the run ends      */
} ol_job_train;

/** eval: scoring of the setting's test tasks. */
typedef struct ol_job_eval {
    ol_conf_ints seeds;       /**< of the k-shot files                                   */
    int shots;                /**< k, resolved: data.shots where the file says -1        */
    int adapt_rows;           /**< rows of the k-shot file that adaptation learns from   */
    ol_conf_ints adapt_steps; /**< step counts, ascending, each scored; the adapt stage  */
    double adapt_lr;          /**< 0 = inner.lr; read it with ol_job_adapt_lr            */
    int rows;                 /**< most test rows of a task and seed, 0 = all            */
    bool pmi;                 /**< score in context by PMI too (eval/target_score.h)     */
} ol_job_eval;

/** tune: settings chosen on training tasks that are held out, see src/run/tune.c. */
typedef struct ol_job_tune {
    int holdout; /**< tasks                                                          */
    int steps;   /**< train.steps meanwhile; 0 = train.steps                         */
    int rows;    /**< eval.rows meanwhile; 0 = eval.rows                             */
    char *grid;  /**< of learner keys, as ol_conf_cell reads it; an arm may have its own */
} ol_job_tune;

/** A whole job. Filled by ol_job_read or ol_job_arm; its strings belong to it. */
typedef struct ol_job {
    char *name;               /**< resolved: the file's name without .cfg where it says ""   */
    int64_t seed;             /**< of every random stream, 0 or more                         */
    char *output;             /**< resolved: runs/NAME where it says ""                      */
    ol_conf_ints train_seeds; /**< run once for each in the place of seed; none: once, with seed */
    unsigned stages;          /**< OL_STAGE_* bits                                           */
    ol_job_model model;
    ol_job_data data;
    ol_job_learner learner;
    ol_job_train train;
    ol_job_eval eval;
    ol_job_tune tune;
    int precision; /**< ol_products, of products of matrices */
    int threads;   /**< BLAS threads of a rank */

    int n_arms;           /**< 0: the job is its own only arm; always 0 in an arm            */
    struct ol_job **arms; /**< [n_arms] resolved, *owned*; name and output are the arm's own */
    ol_conf *conf;        /**< where values came from; *owned*, opaque                       */
} ol_job;

/** What a job is read from. Borrowed. */
typedef struct ol_job_source {
    const char *path;        /**< the job file */
    const char *const *sets; /**< [n] "path=value", applied after the file in their order */
    size_t n;
} ol_job_source;

/** A file, and settings over it. */
static inline ol_job_source ol_job_source_of(const char *path, const ol_conf_sets *sets)
{
    return (ol_job_source){path, (const char *const *)sets->items, sets->n};
}

/**
 * Read, resolve and check a job.
 * @param job  *owned by the caller*: ol_job_destroy
 * Errors: OL_EUSAGE, one message with all mistakes, each with its place; OL_ENOMEM.
 */
ol_status ol_job_read(ol_job_source source, ol_job **job);

/** Read a job back from its resolved text; `name` stands for the file in messages. */
ol_status ol_job_read_text(const char *name, const char *text, size_t size, ol_job **job);

/** The same of a file that has been resolved before, a job.cfg: nothing is included, nothing set. */
ol_status ol_job_read_stored(const char *path, ol_job **job);

/** Accepts NULL. */
void ol_job_destroy(ol_job *job);
OL_DROPS(ol_job, ol_job_destroy)
#define OL_AUTO_JOB OL_AUTO(ol_job_drop) ol_job

/**
 * Arm i of 0 .. ol_job_arms(job)-1: its learner, its share of meta-steps, output OUTPUT/NAME and
 * name NAME; without arms, arm 0 is the job itself. Borrowed from `job`.
 */
const ol_job *ol_job_arm(const ol_job *job, int i);

/** Arms to run in turn: n_arms, or 1. */
static inline int ol_job_arms(const ol_job *job)
{
    return job->n_arms > 0 ? job->n_arms : 1;
}

/** The settings of the job's learner as the mathematics takes them. */
ol_learner_spec ol_job_learner_spec(const ol_job *job);

/** Those of its outer update at meta-step s, rates of that very step. */
ol_outer_spec ol_job_outer_spec(const ol_job *job, int64_t s);

/** ", order 1" or ", order 2" of learners that have orders, to stand behind the name; else "". */
const char *ol_job_order_text(const ol_job *job);

/** True where the job's prompts have demonstrations: its learner knows them and is not told to go
 *  without. */
bool ol_job_demonstrations(const ol_job *job);

/** Gradient evaluations of one meta-step, see above. */
double ol_job_evaluations_per_step(const ol_job *job);

/** What the job trains and its inner loop moves. Borrows from the job. */
ol_trained_spec ol_job_trained(const ol_job *job);

/** The training tasks that are held out, drawn by the job's seed. */
static inline ol_holdout ol_job_holdout(const ol_job *job)
{
    return (ol_holdout){job->data.holdout, (uint64_t)job->seed};
}

/** Cells of tune.grid of a job or of an arm; 0 without one. */
size_t ol_job_cells(const ol_job *job);

/**
 * Job or arm with the keys of cell i of a grid, mostly its own.
 * @param cell  without arms; *owned by the caller* (ol_job_destroy)
 * Errors: OL_ENOMEM.
 */
ol_status ol_job_cell(const ol_job *job, const char *grid, size_t i, ol_job **cell);

/** eval.adapt_lr, or the inner rate where that is 0. */
double ol_job_adapt_lr(const ol_job *job);

/**
 * Append the resolved job as a libconfig file: every key, its value and in a comment where that
 * came from; arms included. Reading it back gives the same values. Errors: OL_ENOMEM.
 */
ol_status ol_job_text(const ol_job *job, ol_text *text);

/** Write it to a file, in place of an older one. Errors: OL_EIO, OL_ENOMEM. */
ol_status ol_job_write(const ol_job *job, const char *path);

/** Digest of the values alone: comments and origins do not change it. Errors: OL_ENOMEM. */
ol_status ol_job_digest(const ol_job *job, char digest[OL_DIGEST_TEXT]);

/**
 * May `job` go on with a run whose job.cfg held `before`? seed, threads, model, data and learner
 * must be as they were (storage apart, which decides memory only). name, output, stages, train and
 * eval may change on the way, and train_seeds from some to others. A job with arms is compared without them; each arm has its own
 * job.cfg.
 *
 * @param name  of the file `before` was read from, for messages
 * Errors: OL_EUSAGE with the keys that differ and both values.
 */
ol_status ol_job_same_run(const ol_job *job, const char *name, const char *before, size_t size);

/** Append cfg/reference.cfg: every key with its default, type, range and meaning. */
ol_status ol_job_reference(ol_text *text);

/** Every key of a job file. */
extern const ol_conf_table ol_job_keys;

/** Has the key the value that it has when nobody says another? */
bool ol_job_is_preset(const ol_job *job, const char *path);

/** Where the value of a key stood, for messages: "FILE:LINE", or as ol_conf_origin has it. Borrowed. */
static inline const char *ol_job_place(const ol_job *job, const char *path)
{
    return ol_conf_origin(job->conf, ol_conf_find(ol_job_keys, path));
}

#endif
