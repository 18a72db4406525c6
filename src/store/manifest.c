/* SPDX-License-Identifier: BSD-3-Clause */
#include "manifest.h"

#include <stdlib.h>
#include <string.h>

#include "outerloop/base/file.h"
#include "outerloop/base/text.h"
#include "outerloop/store/checkpoint.h" /* OL_CHECKPOINT_RANK */

const char *const ol_manifest_groups[OL_MANIFEST_GROUPS] = {"params", "moments/m", "moments/v"};
const char ol_manifest_files[] = "files";

static ol_status list_attribute(const ol_archive *archive, const char *object, const char *name,
                                ol_text *list)
{
    char *value;
    ol_status status;

    if (strcmp(object, "/") == 0 && strcmp(name, "digest") == 0)
        return OL_OK;
    OL_TRY(ol_archive_show(archive, object, name, &value));
    status = ol_text_format(list, "%s %s = %s\n", object, name, value);
    free(value);
    return status;
}

static ol_status list_attributes(const ol_archive *archive, const char *object, ol_text *list)
{
    ol_strings names;
    ol_status status = OL_OK;

    OL_TRY(ol_archive_attributes(archive, object, &names));
    for (size_t i = 0; i < names.n && status == OL_OK; i++)
        status = list_attribute(archive, object, names.items[i], list);
    ol_strings_finish(&names);
    return status;
}

static ol_status list_job(const ol_archive *archive, ol_text *list)
{
    char *job, digest[OL_DIGEST_TEXT];

    OL_TRY(ol_archive_read_text(archive, "job", &job));
    ol_digest(job, strlen(job), digest);
    free(job);
    return ol_text_format(list, "job %s\n", digest);
}

static ol_status list_tensor(const ol_archive *archive, const char *group, const char *name,
                             ol_text *list)
{
    char object[PATH_MAX];
    int64_t dims[OL_CHECKPOINT_RANK];
    int rank;

    OL_TRY(ol_path_format(object, "%s/%s", group, name));
    OL_TRY(ol_archive_shape(archive, object, OL_CHECKPOINT_RANK, dims, &rank));
    for (int d = 0; d < rank; d++)
        OL_TRY(ol_text_format(list, "%lld ", (long long)dims[d]));
    return list_attribute(archive, object, "digest", list);
}

static ol_status list_tensors(const ol_archive *archive, const char *group, ol_text *list)
{
    ol_strings names;
    ol_status status = OL_OK;

    if (!ol_archive_is_group(archive, group))
        return ol_text_format(list, "%s none\n", group);
    OL_TRY(ol_archive_children(archive, group, &names));
    for (size_t i = 0; i < names.n && status == OL_OK; i++)
        status = list_tensor(archive, group, names.items[i], list);
    ol_strings_finish(&names);
    return status;
}

static ol_status list_all(const ol_archive *archive, ol_text *list)
{
    OL_TRY(list_attributes(archive, "/", list));
    OL_TRY(list_attributes(archive, "model", list));
    OL_TRY(list_attributes(archive, "moments", list));
    OL_TRY(list_job(archive, list));
    for (int g = 0; g < OL_MANIFEST_GROUPS; g++)
        OL_TRY(list_tensors(archive, ol_manifest_groups[g], list));
    if (ol_archive_is_group(archive, ol_manifest_files)) /* few checkpoints have any */
        OL_TRY(list_tensors(archive, ol_manifest_files, list));
    return OL_OK;
}

ol_status ol_manifest_digest(const ol_archive *archive, char digest[OL_DIGEST_TEXT])
{
    ol_text list = {0};
    const ol_status status = list_all(archive, &list);

    if (status == OL_OK)
        ol_digest(list.data, list.size, digest);
    ol_text_finish(&list);
    return status;
}
