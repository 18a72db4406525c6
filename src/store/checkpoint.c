/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/store/checkpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "h5.h"
#include "outerloop/base/digest.h"
#include "outerloop/base/size.h"
#include "seal.h"

static const int64_t MOST_STEPS = INT64_C(1) << 53; /* as many as a double counts */

enum {
    VERSION = 3,
    SPARE_BYTES = 1 << 20, /* headers, attributes, and some air for the file system */
    FILES = OL_CHECKPOINT_V + 1,
    PARTS
};

/* Where the parts are: tensors by ol_checkpoint_part, and files that go along. */
static const char *const groups[PARTS] = {"params", "moments/m", "moments/v", "files"};

static size_t tensor_elements(const ol_checkpoint_tensor *tensor)
{
    size_t n = 1;

    assert(tensor->rank >= 1 && tensor->rank <= OL_CHECKPOINT_RANK);
    for (int d = 0; d < tensor->rank; d++)
        n *= (size_t)tensor->dims[d];
    return n;
}

static ol_status check_space(const char *folder, const ol_checkpoint_spec *spec)
{
    struct statvfs disk;
    unsigned long long need = SPARE_BYTES, left;

    for (int i = 0; i < spec->n_tensors; i++)
        need += tensor_elements(&spec->tensors[i]) * sizeof(float) * (spec->tensors[i].m ? 3 : 1);
    for (int i = 0; i < spec->n_files; i++)
        need += spec->files[i].size;
    OL_CHECK(statvfs(folder, &disk) == 0, OL_EIO, "%s: cannot ask for free space: %s", folder,
             strerror(errno));
    left = (unsigned long long)disk.f_bavail * disk.f_frsize;
    OL_CHECK(
        left >= need, OL_EIO,
        "%s: the checkpoint of step %lld needs %llu MiB and %llu are free: make room; where the "
        "run has ended, --resume then goes on",
        folder, (long long)spec->step, (need >> 20) + 1, left >> 20);
    return OL_OK;
}

static ol_status set_notes(ol_archive *archive, const char *object, const ol_checkpoint_note *notes,
                           int n)
{
    for (int i = 0; i < n; i++) {
        const ol_checkpoint_note *note = &notes[i];

        assert(!ol_archive_has_attribute(archive, object, note->name));
        if (note->kind == OL_NOTE_I64)
            OL_TRY(ol_archive_set_i64(archive, object, note->name, note->i));
        else if (note->kind == OL_NOTE_F64)
            OL_TRY(ol_archive_set_f64(archive, object, note->name, note->f));
        else
            OL_TRY(ol_archive_set_text(archive, object, note->name, note->text));
    }
    return OL_OK;
}

/* Write what has a digest: reals, or the bytes of a file. */
static ol_status write_member(ol_archive *archive, int part, const char *name, int rank,
                              const int64_t *dims, const void *data)
{
    size_t bytes = part == FILES ? 1 : sizeof(float);
    char object[PATH_MAX], digest[OL_DIGEST_TEXT];

    assert(!strchr(name, '/'));
    for (int d = 0; d < rank; d++)
        bytes *= (size_t)dims[d];
    OL_TRY(ol_path_format(object, "%s/%s", groups[part], name));
    ol_digest(data, bytes, digest);
    OL_TRY(ol_archive_write_numbers(archive, object, part == FILES ? OL_NUMBER_U8 : OL_NUMBER_F32,
                                    rank, dims, data));
    return ol_archive_set_text(archive, object, "digest", digest);
}

static ol_status write_members(ol_archive *archive, const ol_checkpoint_spec *spec)
{
    for (int i = 0; i < spec->n_tensors; i++) {
        const ol_checkpoint_tensor *t = &spec->tensors[i];
        const float *const data[] = {t->param, t->m, t->v};

        assert(!t->m == !t->v);
        for (int part = 0; part < (t->m ? FILES : 1); part++)
            OL_TRY(write_member(archive, part, t->name, t->rank, t->dims, data[part]));
    }
    for (int i = 0; i < spec->n_files; i++) {
        const int64_t size = (int64_t)spec->files[i].size;

        OL_TRY(write_member(archive, FILES, spec->files[i].name, 1, &size, spec->files[i].data));
    }
    return OL_OK;
}

static ol_status write_contents(ol_archive *archive, const ol_checkpoint_spec *spec)
{
    OL_TRY(ol_archive_set_text(archive, "/", "format", "outerloop-checkpoint"));
    OL_TRY(ol_archive_set_i64(archive, "/", "version", VERSION));
    OL_TRY(ol_archive_set_i64(archive, "/", "step", spec->step));
    OL_TRY(ol_archive_set_i64(archive, "/", "seed", (int64_t)spec->seed));
    OL_TRY(ol_archive_set_text(archive, "/", "rng", spec->rng));
    OL_TRY(ol_archive_set_text(archive, "/", "run_id", spec->run_id));
    OL_TRY(set_notes(archive, "/", spec->notes, spec->n_notes));
    OL_TRY(ol_archive_write_text(archive, "job", spec->job));
    OL_TRY(ol_archive_make_group(archive, "model"));
    OL_TRY(set_notes(archive, "model", spec->model, spec->n_model));
    OL_TRY(ol_archive_make_group(archive, "moments"));
    OL_TRY(ol_archive_set_i64(archive, "moments", "step", spec->moments_step));
    return write_members(archive, spec);
}

static ol_status write_aside(const char *aside, const ol_checkpoint_spec *spec)
{
    ol_archive *archive;
    ol_status status, closed;

    OL_TRY(ol_h5_open(aside, OL_H5_CREATE, OL_SEAL_BYTES, &archive));
    status = write_contents(archive, spec);
    closed = ol_archive_close(archive);
    OL_TRY(status != OL_OK ? status : closed);
    OL_TRY(ol_seal_write(aside, spec->step, spec->run_id));
    ol_admit_own(aside); /* what is found there from now on is proved by its seal */
    return OL_OK;
}

/* What is on disk must be what is in memory: the file is opened anew and all of it compared. */
static ol_status reread(const char *aside)
{
    const ol_status status = ol_checkpoint_verify(aside);

    return status == OL_EDATA ? ol_fail(OL_EIO, "what was read back is not what was written: %s",
                                        ol_status_message())
                              : status;
}

static void write_hint(const char *folder, const char *name)
{
    char path[PATH_MAX], line[PATH_MAX];

    if (ol_path_format(path, "%s/latest", folder) == OL_OK &&
        ol_path_format(line, "%s\n", name) == OL_OK)
        ol_write_file(path, line, strlen(line)); /* a hint: not worth a failure */
}

/* In the folder of `path`, which is there. */
static ol_status write_whole(const char *folder, const char *path, const ol_checkpoint_spec *spec)
{
    char aside[PATH_MAX];
    ol_status status;

    OL_TRY(ol_path_format(aside, "%s.tmp-%s", path, spec->run_id));
    OL_TRY(check_space(folder, spec));
    status = write_aside(aside, spec);
    if (status == OL_OK && spec->tamper)
        spec->tamper(aside);
    if (status == OL_OK)
        status = reread(aside);
    return ol_commit_aside(status, aside, path);
}

ol_status ol_checkpoint_write(const char *folder, const ol_checkpoint_spec *spec,
                              char path[PATH_MAX])
{
    char name[64];

    snprintf(name, sizeof name, "step-%06lld.h5", (long long)spec->step);
    OL_TRY(ol_make_folders(folder));
    OL_TRY(ol_path_format(path, "%s/%s", folder, name));
    OL_TRY(write_whole(folder, path, spec));
    write_hint(folder, name);
    return OL_OK;
}

ol_status ol_checkpoint_write_as(const char *path, const ol_checkpoint_spec *spec)
{
    char folder[PATH_MAX];

    OL_TRY(ol_path_folder(path, folder));
    return write_whole(folder, path, spec);
}

struct ol_checkpoint {
    ol_archive *archive;
    ol_seal seal;
    ol_checkpoint_facts head;
    char *run_id, *job;
};

static ol_status read_head(ol_checkpoint *checkpoint)
{
    const ol_archive *archive = checkpoint->archive;
    ol_checkpoint_facts *head = &checkpoint->head;
    int64_t seed;

    OL_TRY(ol_archive_get_i64(archive, "/", "step", &head->step));
    OL_TRY(ol_archive_get_i64(archive, "/", "seed", &seed));
    OL_TRY(ol_archive_get_i64(archive, "moments", "step", &head->moments_step));
    OL_CHECK(head->step >= 0 && head->step < MOST_STEPS && head->moments_step >= 0 &&
                 head->moments_step < MOST_STEPS,
             OL_EDATA, "%s: step is %lld and that of moments %lld, out of range",
             ol_archive_path(archive), (long long)head->step, (long long)head->moments_step);
    OL_TRY(ol_archive_get_text(archive, "/", "run_id", &checkpoint->run_id));
    OL_TRY(ol_archive_read_text(archive, "job", &checkpoint->job));
    head->seed = (uint64_t)seed;
    head->run_id = checkpoint->run_id;
    head->job = checkpoint->job;
    head->digest = checkpoint->seal.content;
    return OL_OK;
}

ol_status ol_checkpoint_open(const char *path, ol_checkpoint **out)
{
    OL_AUTO_CHECKPOINT *checkpoint = calloc(1, sizeof *checkpoint);

    *out = NULL;
    OL_CHECK(checkpoint, OL_ENOMEM, "%s: no memory to open the checkpoint", path);
    OL_TRY(ol_seal_read(path, &checkpoint->seal)); /* is it as it was written? */
    OL_TRY(ol_seal_check(path, &checkpoint->seal));
    OL_TRY(ol_archive_open(path, &checkpoint->archive)); /* and does it mean no harm? */
    OL_TRY(read_head(checkpoint));
    return OL_GIVE(out, checkpoint);
}

void ol_checkpoint_close(ol_checkpoint *checkpoint)
{
    if (checkpoint) {
        ol_archive_close(checkpoint->archive);
        free(checkpoint->run_id);
        free(checkpoint->job);
        free(checkpoint);
    }
}

const ol_checkpoint_facts *ol_checkpoint_head(const ol_checkpoint *checkpoint)
{
    return &checkpoint->head;
}

bool ol_checkpoint_has_moments(const ol_checkpoint *checkpoint)
{
    return ol_archive_is_group(checkpoint->archive, groups[OL_CHECKPOINT_M]);
}

const ol_archive *ol_checkpoint_archive(const ol_checkpoint *checkpoint)
{
    return checkpoint->archive;
}

/* Read a member of a part and compare its digest. @param out  [count] reals, or bytes of a file */
static ol_status read_member(const ol_checkpoint *checkpoint, int part, const char *name,
                             size_t count, void *out)
{
    const ol_archive *archive = checkpoint->archive;
    char object[PATH_MAX], digest[OL_DIGEST_TEXT];
    OL_AUTO_FREE char *stored = NULL;

    OL_TRY(ol_path_format(object, "%s/%s", groups[part], name));
    OL_TRY(ol_archive_read_numbers(archive, object, part == FILES ? OL_NUMBER_U8 : OL_NUMBER_F32,
                                   count, out));
    OL_TRY(ol_archive_get_text(archive, object, "digest", &stored));
    ol_digest(out, count * (part == FILES ? 1 : sizeof(float)), digest);
    OL_CHECK(strcmp(digest, stored) == 0, OL_EDATA,
             "%s: %s: its digest does not hold: the %s was altered", ol_archive_path(archive),
             object, part == FILES ? "file" : "tensor");
    return OL_OK;
}

ol_status ol_checkpoint_read(const ol_checkpoint *checkpoint, ol_checkpoint_part part,
                             const char *name, size_t count, float *out)
{
    return read_member(checkpoint, (int)part, name, count, out);
}

/* The same of any size. @param out  *owned by the caller*, with a NUL behind it */
static ol_status read_whole(const ol_checkpoint *checkpoint, int part, const char *name, char **out,
                            size_t *count)
{
    OL_AUTO_FREE char *data = NULL;
    char object[PATH_MAX];

    OL_TRY(ol_path_format(object, "%s/%s", groups[part], name));
    OL_TRY(ol_archive_count(checkpoint->archive, object, count));
    OL_TRY(ol_allocate(*count + 1, part == FILES ? 1 : sizeof(float), object, (void **)&data));
    OL_TRY(read_member(checkpoint, part, name, *count, data));
    return OL_GIVE(out, data);
}

bool ol_checkpoint_has_file(const ol_checkpoint *checkpoint, const char *name)
{
    char object[PATH_MAX];

    return ol_path_format(object, "%s/%s", groups[FILES], name) == OL_OK &&
           ol_archive_has(checkpoint->archive, object);
}

ol_status ol_checkpoint_read_file(const ol_checkpoint *checkpoint, const char *name, char **data,
                                  size_t *size)
{
    *data = NULL;
    return read_whole(checkpoint, FILES, name, data, size);
}

static ol_status verify_part(const ol_checkpoint *checkpoint, int part)
{
    OL_AUTO_STRINGS names = {0};

    if (!ol_archive_is_group(checkpoint->archive, groups[part]))
        return OL_OK;
    OL_TRY(ol_archive_children(checkpoint->archive, groups[part], &names));
    for (size_t i = 0; i < names.n; i++) {
        OL_AUTO_FREE char *data = NULL;
        size_t count;

        OL_TRY(read_whole(checkpoint, part, names.items[i], &data, &count));
    }
    return OL_OK;
}

ol_status ol_checkpoint_verify(const char *path)
{
    OL_AUTO_CHECKPOINT *checkpoint = NULL;

    OL_TRY(ol_checkpoint_open(path, &checkpoint));
    for (int part = 0; part < PARTS; part++)
        OL_TRY(verify_part(checkpoint, part));
    return OL_OK;
}
