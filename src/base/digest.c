/* SPDX-License-Identifier: BSD-3-Clause */
#include "outerloop/base/digest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sha2.h>
#include <xxhash.h>

#include "outerloop/base/file.h" /* ol_stat_input */

enum { PIECE_BYTES = 1 << 20 };

static void write_hash(XXH128_hash_t hash, char text[OL_DIGEST_TEXT])
{
    snprintf(text, OL_DIGEST_TEXT, "%016llx%016llx", (unsigned long long)hash.high64,
             (unsigned long long)hash.low64);
}

void ol_digest(const void *bytes, size_t n, char text[OL_DIGEST_TEXT])
{
    write_hash(XXH3_128bits(bytes, n), text);
}

static ol_status digest_stream(FILE *in, const char *path, char *buffer, XXH3_state_t *state,
                               uint64_t *size)
{
    size_t n;

    XXH3_128bits_reset(state);
    while ((n = fread(buffer, 1, PIECE_BYTES, in)) > 0) {
        XXH3_128bits_update(state, buffer, n);
        *size += n;
    }
    OL_CHECK(!ferror(in), OL_EDATA, "%s: cannot read: %s", path, strerror(errno));
    return OL_OK;
}

ol_status ol_digest_file(const char *path, uint64_t start, char text[OL_DIGEST_TEXT],
                         uint64_t *size)
{
    struct stat st;
    FILE *in = ol_stat_input(path, &st) == OL_OK ? fopen(path, "rb") : NULL;
    XXH3_state_t *state = XXH3_createState();
    char *buffer = malloc(PIECE_BYTES);
    uint64_t end = start;
    ol_status status;

    if (!in || fseeko(in, (off_t)start, SEEK_SET) != 0)
        status = ol_fail(OL_EDATA, "%s: cannot open: %s", path, strerror(errno));
    else if (!state || !buffer)
        status = ol_fail(OL_ENOMEM, "%s: no memory to read the file", path);
    else
        status = digest_stream(in, path, buffer, state, &end);
    if (status == OL_OK)
        write_hash(XXH3_128bits_digest(state), text);
    if (size)
        *size = end;
    free(buffer);
    XXH3_freeState(state);
    if (in)
        fclose(in);
    return status;
}

void ol_digest_sha256(const void *bytes, size_t n, char text[OL_SHA256_TEXT])
{
    SHA256Data(bytes, n, text);
}
