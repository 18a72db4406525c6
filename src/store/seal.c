/* SPDX-License-Identifier: BSD-3-Clause */
#include "seal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "outerloop/base/file.h"

#define FIRST_LINE "outerloop checkpoint "
enum { VERSION = 1 };

/* The 512 bytes of a seal. */
static void render(const ol_seal *seal, char block[OL_SEAL_BYTES])
{
    char own[OL_DIGEST_TEXT];
    int n;

    memset(block, 0, OL_SEAL_BYTES);
    n = snprintf(block, OL_SEAL_BYTES,
                 FIRST_LINE "%d\nstep %" PRId64 "\nrun_id %s\nbytes %" PRIu64 "\ncontent %s\n",
                 VERSION, seal->step, seal->run_id, seal->bytes, seal->content);
    ol_digest(block, (size_t)n, own);
    snprintf(block + n, OL_SEAL_BYTES - (size_t)n, "seal %s\n", own);
}

ol_status ol_seal_write(const char *path, int64_t step, const char *run_id)
{
    ol_seal seal = {.step = step};
    char block[OL_SEAL_BYTES];
    int fd, reason = 0;

    OL_CHECK(*run_id && strlen(run_id) < OL_SEAL_RUN_ID && !strpbrk(run_id, " \t\n/"), OL_EUSAGE,
             "%s: the run id must be one word of less than %d bytes", path, OL_SEAL_RUN_ID);
    snprintf(seal.run_id, sizeof seal.run_id, "%s", run_id);
    OL_TRY(ol_digest_file(path, OL_SEAL_BYTES, seal.content, &seal.bytes));
    render(&seal, block);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || pwrite(fd, block, sizeof block, 0) != (ssize_t)sizeof block)
        reason = errno ? errno : ENOSPC;
    if (fd >= 0 && close(fd) != 0 && !reason)
        reason = errno;
    OL_CHECK(!reason, OL_EIO, "%s: cannot write: %s", path, strerror(reason));
    return OL_OK;
}

/* Take the lines apart. False unless they make the very same block again. */
static bool parse(const char block[OL_SEAL_BYTES + 1], ol_seal *seal)
{
    char again[OL_SEAL_BYTES];
    int version;

    *seal = (ol_seal){0};
    if (sscanf(block, FIRST_LINE "%d step %" SCNd64 " run_id %127s bytes %" SCNu64 " content %32s",
               &version, &seal->step, seal->run_id, &seal->bytes, seal->content) != 5)
        return false;
    render(seal, again);
    return memcmp(block, again, sizeof again) == 0;
}

static ol_status read_block(const char *path, char block[OL_SEAL_BYTES + 1], uint64_t *size)
{
    struct stat st;
    ssize_t n;
    int fd, reason;

    OL_TRY(ol_open_input(path, &fd, &st));
    n = read(fd, block, OL_SEAL_BYTES);
    reason = errno;
    close(fd);
    OL_CHECK(n >= 0, OL_EDATA, "%s: cannot read: %s", path, strerror(reason));
    block[n] = '\0';
    *size = (uint64_t)st.st_size;
    return OL_OK;
}

bool ol_checkpoint_is_one(const char *path)
{
    char block[OL_SEAL_BYTES + 1] = "";
    uint64_t size = 0;

    return read_block(path, block, &size) == OL_OK &&
           strncmp(block, FIRST_LINE, strlen(FIRST_LINE)) == 0;
}

ol_status ol_seal_read(const char *path, ol_seal *seal)
{
    char block[OL_SEAL_BYTES + 1] = "";
    uint64_t size = 0;
    int version = 0;

    OL_TRY(read_block(path, block, &size));
    OL_CHECK(strncmp(block, FIRST_LINE, strlen(FIRST_LINE)) == 0, OL_EDATA,
             "%s: is not a checkpoint of this program", path);
    OL_CHECK(sscanf(block + strlen(FIRST_LINE), "%d", &version) == 1 && version <= VERSION,
             OL_EDATA, "%s: is a checkpoint of version %d, this program reads up to %d", path,
             version, VERSION);
    OL_CHECK(parse(block, seal), OL_EDATA, "%s: its first %d bytes were altered", path,
             OL_SEAL_BYTES);
    OL_CHECK(size == seal->bytes, OL_EDATA, "%s: is torn: has %" PRIu64 " of %" PRIu64 " bytes",
             path, size, seal->bytes);
    return OL_OK;
}

ol_status ol_seal_check(const char *path, const ol_seal *seal)
{
    char content[OL_DIGEST_TEXT];

    OL_TRY(ol_digest_file(path, OL_SEAL_BYTES, content, NULL));
    OL_CHECK(strcmp(content, seal->content) == 0, OL_EDATA,
             "%s: was altered: its content has not the digest it was sealed with", path);
    return OL_OK;
}
