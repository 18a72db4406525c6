/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file outerloop/store/checkpoint.h
 * Checkpoints that are whole or not there.
 *
 *     FOLDER/step-000100.h5
 *       /                attributes format, version, step, seed, rng, run_id, and the caller's
 *       /job             the resolved job file, as text
 *       /model           attributes of the caller: what must match for the file to be of use
 *       /params/<name>   float32 by Hugging Face name, each with the attribute digest
 *       /moments         attribute step: Adam's t
 *       /moments/m/<name>, /moments/v/<name>
 *       /files/<name>    bytes of files that belong to the model (import), each with a digest
 *
 * Nothing in it depends on the number of ranks. In front of the HDF5 file proper, in the 512 bytes
 * that HDF5 leaves to its user, stand step, run_id, length and the digest (XXH3-128) of all that
 * follows, as text (`head -6 FILE`): it seals every byte, and two files of one digest are the same.
 * Each tensor and each file has a digest of its own besides, of what was in memory.
 *
 * Writing: the space is checked; FOLDER/step-000100.h5.tmp-<run_id> is written and closed, opened
 * again and every byte compared with its digest; then synced, renamed, the folder synced; then the
 * text file `latest` is rewritten. At no instant does a file of a checkpoint's name hold less than a
 * whole checkpoint. `latest` is a hint for people and is never believed.
 *
 * Reading: the length and the digest of the whole are checked first, which finds accidents. They have
 * no key and defend against nobody: what HDF5 may see is decided by ol_archive_open. Each tensor's
 * own digest is compared when it is read. The step is the one stored inside, not the one in the name.
 *
 * Errors of all functions: OL_EDATA for a file that is torn, altered, or no checkpoint (file and
 * object named), OL_EIO when writing fails, OL_ENOMEM. Local: rank 0 writes; any rank may read.
 */
#ifndef OUTERLOOP_STORE_CHECKPOINT_H
#define OUTERLOOP_STORE_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outerloop/base/file.h"   /* PATH_MAX */
#include "outerloop/base/status.h" /* ol_status */
#include "outerloop/store/archive.h"

enum { OL_CHECKPOINT_RANK = 4 }; /**< most dimensions of a tensor */

/** A named tensor with its moments. Borrowed. */
typedef struct ol_checkpoint_tensor {
    const char *name; /**< "h.0.attn.c_attn.weight"; no slashes       */
    int rank;         /**< 1 .. OL_CHECKPOINT_RANK                    */
    int64_t dims[OL_CHECKPOINT_RANK];
    const float *param; /**< [dims]                                     */
    const float *m, *v; /**< [dims]; both NULL in a file without moments */
} ol_checkpoint_tensor;

/** An attribute of the caller's: exactly one of the kinds below. */
typedef struct ol_checkpoint_note {
    const char *name;
    enum { OL_NOTE_I64, OL_NOTE_F64, OL_NOTE_TEXT } kind;
    int64_t i;
    double f;
    const char *text;
} ol_checkpoint_note;

/** A file that goes along, as its bytes. Borrowed. */
typedef struct ol_checkpoint_file {
    const char *name; /**< "tokenizer.json"; no slashes */
    char *data;       /**< [size], not empty            */
    size_t size;
} ol_checkpoint_file;

/** What is saved. Everything is borrowed for the call. */
typedef struct ol_checkpoint_spec {
    int64_t step;         /**< meta-steps done                                      */
    int64_t moments_step; /**< Adam's t                                             */
    uint64_t seed;
    const char *rng;    /**< the random generator and how its streams are keyed     */
    const char *run_id; /**< the same over restarts; one word of less than 128 bytes; part of the
                             aside name                                             */
    const char *job;    /**< resolved job file                                      */
    const ol_checkpoint_tensor *tensors;
    int n_tensors;
    const ol_checkpoint_note *model; /**< attributes of /model                      */
    int n_model;
    const ol_checkpoint_note *notes; /**< attributes of the root: rows of metrics, ... */
    int n_notes;
    const ol_checkpoint_file *files;
    int n_files;
    void (*tamper)(const char *aside); /**< for tests: what a bad disk does to the file before it
                                            is read back; NULL: nothing             */
} ol_checkpoint_spec;

/**
 * Write FOLDER/step-NNNNNN.h5 as described above; the folder is made when missing. On error the
 * aside file is removed and nothing else has changed: the caller logs, goes on, tries again later.
 * @param path  PATH_MAX bytes, set to the new file's path
 * Errors: OL_EIO (also too little space, and what was read back is not what was written).
 * Cost: two passes over the tensors and one fsync.
 */
ol_status ol_checkpoint_write(const char *folder, const ol_checkpoint_spec *spec,
                              char path[PATH_MAX]);

/** The same under a path of the caller's, in a folder that is there; no `latest` is written. */
ol_status ol_checkpoint_write_as(const char *path, const ol_checkpoint_spec *spec);

/** True when the file begins as a checkpoint does, whole or not. Looks at its first bytes only, and
 *  is safe on any file. */
bool ol_checkpoint_is_one(const char *path);

/** An open checkpoint. */
typedef struct ol_checkpoint ol_checkpoint;

typedef enum ol_checkpoint_part {
    OL_CHECKPOINT_PARAMS,
    OL_CHECKPOINT_M,
    OL_CHECKPOINT_V,
} ol_checkpoint_part;

/**
 * Open a file and check it whole: its length and the digest of all its bytes. Cost: the file is read
 * once.
 * @param out *owned by the caller* (ol_checkpoint_close)
 */
ol_status ol_checkpoint_open(const char *path, ol_checkpoint **out);

/** Close and free. Accepts NULL. */
void ol_checkpoint_close(ol_checkpoint *checkpoint);
OL_DROPS(ol_checkpoint, ol_checkpoint_close)
#define OL_AUTO_CHECKPOINT OL_AUTO(ol_checkpoint_drop) ol_checkpoint

/** What it says of itself, as in ol_checkpoint_spec. */
typedef struct ol_checkpoint_facts {
    int64_t step, moments_step;
    uint64_t seed;
    const char *run_id, *job;
    const char *digest; /**< of all of it */
} ol_checkpoint_facts;

/** Borrowed from the open checkpoint. */
const ol_checkpoint_facts *ol_checkpoint_head(const ol_checkpoint *checkpoint);

/** True when the file holds moments. */
bool ol_checkpoint_has_moments(const ol_checkpoint *checkpoint);

/** The file as an archive, to read /model and notes ("/" attributes), or list tensors. Borrowed. */
const ol_archive *ol_checkpoint_archive(const ol_checkpoint *checkpoint);

/**
 * Read one tensor and compare its digest. Another element count, a missing tensor and a digest that
 * does not hold are OL_EDATA; `out` must then not be used. @param out  [count]
 */
ol_status ol_checkpoint_read(const ol_checkpoint *checkpoint, ol_checkpoint_part part,
                             const char *name, size_t count, float *out);

/** Is there a file of that name in it? */
bool ol_checkpoint_has_file(const ol_checkpoint *checkpoint, const char *name);

/** Read a file that goes along and compare its digest.
 *  @param data *owned by the caller* (free), ends in a NUL that `size` does not count */
ol_status ol_checkpoint_read_file(const ol_checkpoint *checkpoint, const char *name, char **data,
                                  size_t *size);

/** Open the file, read every tensor and every file and compare all digests. */
ol_status ol_checkpoint_verify(const char *path);

/** Whether a checkpoint that is whole will do. @return OL_OK, or why not, in ol_status_message */
typedef ol_status ol_checkpoint_test(void *payload, const char *path,
                                     const ol_checkpoint *checkpoint);

/**
 * Find the newest whole checkpoint of a folder: candidates are the files step-*.h5, by the step
 * stored in them, newest first; the first that ol_checkpoint_verify accepts is taken. Each one
 * passed over is named with the reason in a warning.
 * @param test  further asked of each, until one will do; NULL: any will
 * @param path  PATH_MAX bytes; "" when there is no checkpoint at all, which is OL_OK
 * Errors: OL_EDATA when there are files but none is whole and will do.
 */
ol_status ol_checkpoint_newest(const char *folder, ol_checkpoint_test *test, void *payload,
                               char path[PATH_MAX], int64_t *step);

enum { OL_CHECKPOINT_RUN_ID = 128 };

/** The run that the checkpoints of a folder are of, by what each says of itself; "" when they are of
 *  several, and without any. Errors: OL_ENOMEM. Cost: 512 bytes of each. */
ol_status ol_checkpoint_run(const char *folder, char run_id[OL_CHECKPOINT_RUN_ID]);

/** What to keep besides the newest. */
typedef struct ol_checkpoint_keep {
    int last;      /**< the newest `last` ones, at least 1    */
    int64_t every; /**< and those with step % every = 0; 0 = none */
} ol_checkpoint_keep;

/**
 * Delete older checkpoints of the same run. `newest` must be the path that ol_checkpoint_write just
 * returned: it is opened first, and nothing is deleted unless that succeeds. Order is by the step
 * stored inside; files of another run_id, unreadable ones and later steps are never touched.
 * @param removed  how many; NULL = not wanted. Errors: OL_EDATA, OL_EIO.
 */
ol_status ol_checkpoint_prune(const char *folder, const char *newest, ol_checkpoint_keep keep,
                              int *removed);

#endif
