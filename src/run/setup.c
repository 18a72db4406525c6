/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/run/setup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "outerloop/base/clock.h"      /* ol_clock_resident_bytes */
#include "outerloop/base/log.h"        /* ol_log_warn */
#include "outerloop/base/size.h"       /* OL_ALLOCATE */
#include "outerloop/data/suite.h"      /* ol_suite_write */
#include "outerloop/job/start.h"       /* ol_start_shape */
#include "outerloop/kernel/gemm.h"     /* ol_gemm_threads */
#include "outerloop/kernel/products.h" /* ol_products_use */
#include "outerloop/package/package.h" /* ol_package_of_job */
#include "outerloop/record/snapshot.h" /* ol_snapshot_start */
#include "run_parts.h"

enum {
    SUITE_SEED = 1, /* one suite for all jobs, so that their results compare */
    ANY_VOCAB = 256 /* until the tokenizer is there */
};

static ol_status list_arms(ol_setup *s)
{
    const int n = ol_job_arms(s->job);

    s->n_arms = n;
    s->scored = (s->job->stages & (OL_STAGE_EVAL | OL_STAGE_ADAPT)) != 0;
    s->baseline = s->scored && (s->job->stages & OL_STAGE_TRAIN) != 0;
    s->n_rows = n + s->baseline;
    s->n_folders = 2 + s->job->n_arms;
    OL_TRY(OL_ALLOCATE(s->folders, s->n_folders, "folders of a job"));
    OL_TRY(OL_ALLOCATE(s->start, 1 + n, "arms of a job"));
    s->arms = s->start + 1;
    s->rows = s->baseline ? s->start : s->arms;
    s->start->job = s->job;
    s->start->folder = &s->folders[1];
    for (int i = 0; i < n; i++) {
        s->arms[i].job = ol_job_arm(s->job, i);
        s->arms[i].folder = &s->folders[s->job->n_arms > 0 ? 2 + i : 0];
    }
    return OL_OK;
}

/* Rank 0: may this job run in its folders? A job.cfg that is to be written anew is said. */
static ol_status claim_folders(ol_setup *s, bool resume)
{
    char untrained[PATH_MAX];

    OL_TRY(ol_path_format(untrained, "%s/untrained", s->job->output));
    OL_TRY(ol_run_folder_own(s->job, resume, s->folders));
    OL_TRY(ol_run_folder_name(untrained, s->start->folder));
    OL_TRY(ol_run_folder_claim(s->start->folder, s->job, resume));
    for (int i = 0; i < s->job->n_arms; i++)
        OL_TRY(ol_run_folder_own(s->arms[i].job, resume, s->arms[i].folder));
    for (int i = 0; !s->looks && i < s->n_folders; i++)
        if (s->folders[i].claim.restored[0])
            ol_log_warn("%s", s->folders[i].claim.restored);
    s->start->folder->claim.finished = /* whatever is trained elsewhere */
        s->start->folder->claim.same_evaluation && !s->start->folder->claim.restored[0];
    return OL_OK;
}

/* A folder that goes with the setup, on this rank's host: in memory, for every file is synced. */
static ol_status make_scratch(ol_setup *s)
{
    const char *const places[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (!places[i] || !places[i][0])
            continue;
        OL_TRY(ol_path_format(s->scratch, "%s/outerloop-XXXXXX", places[i]));
        if (mkdtemp(s->scratch))
            return OL_OK;
    }
    s->scratch[0] = '\0';
    return ol_fail(OL_EIO, "/tmp: no folder can be made there for the built-in suite: %s",
                   strerror(errno));
}

/* Where tasks and tokenizer are. Rank 0 writes the built-in suite where it is asked for. */
static ol_status find_data(ol_setup *s)
{
    const ol_job_data *data = &s->job->data;
    const bool suite = data->root[0] == '\0';

    if (suite && s->looks)
        OL_TRY(make_scratch(s));
    if (suite)
        OL_TRY(ol_path_format(s->root, "%s/suite", s->looks ? s->scratch : s->job->output));
    else
        OL_TRY(ol_path_format(s->root, "%s", data->root));
    OL_TRY(ol_package_of_job(s->job, s->root, s->tokenizer_path));
    if (suite && (s->looks || ol_comm_rank(s->comm) == 0)) {
        OL_TRY(s->looks ? ol_run_folder_check(s->folders) : ol_run_folder_make(s->folders));
        OL_TRY(ol_suite_write(s->root, SUITE_SEED));
    }
    return OL_OK;
}

static ol_status check_data(const ol_setup *s)
{
    const ol_job_data *data = &s->job->data;

    OL_CHECK(data->root[0] == '\0' || ol_path_is_folder(s->root), OL_EUSAGE,
             "%s: data.root: %s: no such folder, seen from where the program was started",
             ol_job_place(s->job, "data.root"), s->root);
    OL_CHECK(data->tokenizer[0] || data->root[0] == '\0' || ol_path_exists(s->tokenizer_path),
             OL_EUSAGE,
             "data.tokenizer: name a folder with tokenizer.json, or with vocab.json and "
             "merges.txt, or a GGUF file; tasks of one's own come without, and %s is not there",
             s->tokenizer_path);
    OL_CHECK(data->root[0] || ol_path_is_folder(s->root), OL_EDATA,
             "%s: the built-in suite is not seen on %s: `output` must be on a file system that all "
             "hosts share",
             s->root, ol_comm_host(s->comm));
    return OL_OK;
}

/* In the place of the one of before. */
static ol_status make_model(const ol_model_spec *shape, const ol_job *job, ol_model **model)
{
    const ol_trained_spec trained = ol_job_trained(job);

    ol_model_destroy(*model);
    *model = NULL;
    return ol_model_create(shape, &trained, model);
}

static ol_status make_models(ol_setup *s, int vocab)
{
    ol_model_spec shape = s->shape;

    shape.vocab = vocab;
    OL_TRY(make_model(&shape, s->job, &s->model));
    s->start->model = s->model;
    for (int i = 0; i < s->n_arms; i++)
        OL_TRY(make_model(&shape, s->arms[i].job, &s->arms[i].model));
    return OL_OK;
}

/* Cheap, and so before any data: the start, and all of the model but a vocabulary that is the
 * tokenizer's, for which any does here. */
static ol_status read_shape(ol_setup *s)
{
    OL_TRY(ol_start_shape(s->job, &s->shape));
    OL_CHECK(s->job->data.max_tokens <= s->shape.context, OL_EUSAGE,
             "data.max_tokens = %d is more than the %d positions of the model",
             s->job->data.max_tokens, s->shape.context);
    return make_models(s, s->shape.vocab ? s->shape.vocab : ANY_VOCAB);
}

/* Rank 0: are the files of a model there that is not ours, and do they fit? Data may take long to read. */
static ol_status look_at_start(const ol_setup *s)
{
    return s->job->model.init == OL_INIT_IMPORT ? ol_snapshot_start(s->job, s->model, NULL, NULL)
                                                : OL_OK;
}

static ol_status fit_vocabulary(ol_setup *s)
{
    const ol_job_model *m = &s->job->model;
    const int V = ol_tokenizer_size(s->tokenizer);

    OL_CHECK(s->shape.vocab == 0 || s->shape.vocab >= V, OL_EUSAGE,
             "%s %d, but the tokenizer %s has %d tokens: %s",
             m->init == OL_INIT_IMPORT ? "the model's vocabulary is" : "model.vocab =",
             s->shape.vocab, s->tokenizer_path, V,
             m->init == OL_INIT_IMPORT ? "name the model's own" : "say at least that, or 0");
    return s->shape.vocab ? OL_OK : make_models(s, V);
}

static bool same_sampling(const ol_job *a, const ol_job *b)
{
    return a->learner.support == b->learner.support && a->learner.query == b->learner.query &&
           ol_job_demonstrations(a) == ol_job_demonstrations(b);
}

static ol_status make_sampler(ol_setup *s, int i)
{
    ol_arm *arm = &s->arms[i];
    const ol_job *job = arm->job;
    const ol_sampler_spec spec = {
        .root = s->root,
        .setting = job->data.setting,
        .variant = (ol_variant)job->data.variant,
        .shots = job->data.shots,
        .max_tokens = job->data.max_tokens,
        .max_tokens_per_example = job->data.max_tokens_per_example,
        .train_cap = job->data.train_cap,
        .holdout = ol_job_holdout(job),
        .support = job->learner.support,
        .query = job->learner.query,
        .demonstrations = ol_job_demonstrations(job),
        .seed = (uint64_t)job->seed,
    };

    for (int j = 0; j < i && !arm->sampler; j++)
        if (same_sampling(job, s->arms[j].job))
            arm->sampler = s->arms[j].sampler;
    arm->shares_sampler = arm->sampler;
    if (arm->shares_sampler)
        return OL_OK;
    OL_TRY(ol_sampler_create(&spec, s->tokenizer, &arm->sampler));
    return ol_sampler_check_context(arm->sampler, s->model->spec.context);
}

static ol_status make_targets(ol_setup *s, ol_arm *arm)
{
    const ol_job *job = arm->job;
    const bool with = ol_job_demonstrations(job);
    const ol_targets_spec spec = {
        .setting = job->data.setting,
        .each = {.root = s->root,
                 .variant = (ol_variant)job->data.variant,
                 .shots = with ? job->eval.shots : 0,
                 .max_tokens = job->data.max_tokens,
                 .max_tokens_per_example = job->data.max_tokens_per_example,
                 .rows = job->eval.rows,
                 .adapt_rows = job->stages & OL_STAGE_ADAPT ? job->eval.adapt_rows : 0,
                 .strict = job->data.strict},
        .seeds = job->eval.seeds.items,
        .n_seeds = job->eval.seeds.n,
        .pmi = job->eval.pmi,
        .context = s->model->spec.context,
        .holdout = ol_job_holdout(job),
    };

    if (!s->targets[with])
        OL_TRY(ol_targets_open(&spec, s->tokenizer, &s->targets[with]));
    arm->targets = s->targets[with];
    return OL_OK;
}

/* Every rank reads the same files and comes to the same verdict. */
static ol_status load(ol_setup *s)
{
    const bool with = ol_job_demonstrations(s->job);

    OL_TRY(check_data(s));
    OL_TRY(ol_package_tokenizer(s->tokenizer_path, &s->tokenizer));
    OL_TRY(fit_vocabulary(s));
    for (int i = 0; i < s->n_arms; i++) {
        if (s->job->stages & OL_STAGE_TRAIN)
            OL_TRY(make_sampler(s, i));
        if (s->scored)
            OL_TRY(make_targets(s, &s->arms[i]));
    }
    /* The start is asked as the job's own learner would be, where any arm is asked so. */
    s->start->targets = s->targets[with] ? s->targets[with] : s->arms[0].targets;
    return OL_OK;
}

/* O: most reals that a learner of the job's has for its outer state. */
static size_t state_size(const ol_setup *s)
{
    size_t most = 0;

    for (const ol_arm *arm = s->start; arm < s->arms + s->n_arms; arm++) {
        const ol_learner_spec spec = ol_job_learner_spec(arm->job);
        const size_t own = ol_learner_size(arm->model, &spec);

        most = own > most ? own : most;
    }
    return most;
}

/* θ0 on rank 0, and on every node the frozen part. */
static ol_status read_start(ol_setup *s)
{
    const bool first = ol_comm_rank(s->comm) == 0, mine = ol_node_block_mine(s->frozen);

    if (!first && !mine)
        return OL_OK;
    return ol_snapshot_start(s->job, s->model, first ? s->theta0 : NULL,
                             mine ? ol_node_block_at(s->frozen) : NULL);
}

/* All models of the job read the one block. */
static void lend_block(ol_setup *s)
{
    const size_t bytes = s->model->frozen_bytes;

    s->model->block = ol_node_block_at(s->frozen);
    if (bytes > 0 && ol_comm_rank(s->comm) == 0)
        ol_digest(s->model->block, bytes, s->model->block_digest);
    for (int i = 0; i < s->n_arms; i++) {
        s->arms[i].model->block = s->model->block;
        memcpy(s->arms[i].model->block_digest, s->model->block_digest,
               sizeof s->model->block_digest);
    }
}

static ol_status make_start(ol_setup *s)
{
    s->O = state_size(s);
    OL_TRY(ol_shared_state_create(s->comm, s->model->P, s->O, &s->shared));
    s->theta0 = ol_shared_state_start(s->shared);
    s->state = ol_shared_state_vectors(s->shared);
    OL_TRY(ol_node_block_create(s->comm, "frozen weights", s->model->frozen_bytes, &s->frozen));
    OL_TRY(ol_node_block_ready(s->frozen, read_start(s)));
    lend_block(s);
    return ol_shared_state_spread(s->shared, s->theta0, s->model->P);
}

/* Rank 0: the folders, at last, and what training has seen of the test tasks. */
static ol_status make_folders(ol_setup *s)
{
    ol_status (*const make)(const ol_run_folder *) =
        s->looks ? ol_run_folder_check : ol_run_folder_make;
    const ol_job *job = s->job;

    OL_TRY(make(s->folders));
    for (int i = 0; i < s->n_rows; i++)
        if (s->rows[i].folder != s->folders)
            OL_TRY(make(s->rows[i].folder));
    if (!s->scored)
        return OL_OK;
    return ol_overlap_find(s->root, job->data.setting, ol_job_holdout(job), job->data.train_cap,
                           job->eval.seeds.items, job->eval.seeds.n, job->eval.shots, &s->overlap);
}

static ol_status prepare(ol_setup *s, bool resume)
{
    OL_TRY(ol_comm_agree(s->comm, list_arms(s)));
    OL_TRY(OL_ON_FIRST(s->comm, claim_folders(s, resume)));
    OL_TRY(ol_comm_broadcast(s->comm, s->folders, (size_t)s->n_folders * sizeof *s->folders, 0));
    OL_TRY(ol_setup_name_rows(s));
    OL_TRY(ol_comm_agree(s->comm, read_shape(s)));
    OL_TRY(OL_ON_FIRST(s->comm, look_at_start(s)));
    OL_TRY(ol_comm_agree(s->comm, find_data(s)));
    OL_TRY(ol_comm_agree(s->comm, load(s)));
    s->resident_read = ol_clock_resident_bytes();
    OL_TRY(make_start(s));
    if (s->job->stages & OL_STAGE_TRAIN)
        OL_TRY(ol_setup_bound_episodes(s));
    OL_TRY(OL_ON_FIRST(s->comm, make_folders(s)));
    return ol_comm_describe(s->comm, s->job->threads, &s->layout);
}

/* Products as the job wants them, of equal bits on all ranks. */
static ol_status use_products(ol_comm *comm, const ol_job *job)
{
    char first[OL_PRODUCTS_TEXT] = "";

    OL_TRY(ol_comm_agree(comm, ol_products_use((ol_products)job->precision)));
    snprintf(first, sizeof first, "%s", ol_products_describe());
    OL_TRY(ol_comm_broadcast(comm, first, sizeof first, 0));
    return ol_comm_agree(comm,
                         strcmp(first, ol_products_describe()) == 0
                             ? OL_OK
                             : ol_fail(OL_EUSAGE,
                                       "precision = \"%s\": %s would make products in %s, rank "
                                       "0 in %s; take nodes of one kind, or \"f32\"",
                                       ol_products_names[job->precision], ol_comm_host(comm),
                                       ol_products_describe(), first));
}

ol_status ol_setup_create(ol_comm *comm, const ol_job *job, bool resume, bool looks, ol_setup **out)
{
    OL_AUTO_SETUP *s = calloc(1, sizeof *s);

    *out = NULL;
    OL_TRY(ol_comm_agree(comm, s ? OL_OK : ol_fail(OL_ENOMEM, "no memory for a job")));
    s->comm = comm;
    s->job = job;
    s->looks = looks;
    s->resident_start = ol_clock_resident_bytes();
    ol_gemm_threads(job->threads);
    OL_TRY(ol_comm_agree(comm, ol_gemm_reserve(job->threads)));
    OL_TRY(use_products(comm, job));
    OL_TRY(prepare(s, resume));
    return OL_GIVE(out, s);
}

ol_status ol_setup_begin(ol_setup *s, const ol_arm *arm)
{
    const ol_learner_spec learner = ol_job_learner_spec(arm->job);

    if (ol_shared_state_mine(s->shared))
        ol_state_start(arm->model, &learner, s->theta0, &s->state);
    s->state.t = 0;
    return ol_shared_state_meet(s->shared);
}

void ol_setup_destroy(ol_setup *s)
{
    if (!s)
        return;
    if (s->scratch[0])
        ol_remove_all(s->scratch);
    for (int i = 0; s->start && i < s->n_arms; i++) {
        if (!s->arms[i].shares_sampler)
            ol_sampler_destroy(s->arms[i].sampler);
        ol_model_destroy(s->arms[i].model);
        free(s->arms[i].cuts);
    }
    free(s->start);
    free(s->folders);
    ol_targets_close(s->targets[0]);
    ol_targets_close(s->targets[1]);
    ol_overlap_finish(&s->overlap);
    ol_shared_state_destroy(s->shared);
    ol_model_destroy(s->model);
    ol_node_block_destroy(s->frozen);
    ol_tokenizer_destroy(s->tokenizer);
    ol_comm_layout_finish(&s->layout);
    free(s);
}
