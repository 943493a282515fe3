/* SPDX-License-Identifier: Apache-2.0 */
#include "skein/error.h"

#include <string.h>

static const struct {
    int code;
    const char *name;
    const char *text;
} errors[] = {
    {SKEIN_ECANCELED, "ECANCELED", "the operation was cancelled"},
    {SKEIN_ETIMEDOUT, "ETIMEDOUT", "the deadline passed"},
    {SKEIN_EAGAIN, "EAGAIN", "a bounded queue is full, try again"},
    {SKEIN_EBUSY, "EBUSY", "busy"},
    {SKEIN_ECLOSED, "ECLOSED", "closed"},
    {SKEIN_EEOF, "EEOF", "the bytes end too early"},
    {SKEIN_ECORRUPT, "ECORRUPT", "damaged bytes"},
    {SKEIN_EFORMAT, "EFORMAT", "a format this version does not read"},
    {SKEIN_EPROTO, "EPROTO", "the peer broke the protocol"},
    {SKEIN_ETOOBIG, "ETOOBIG", "larger than the limit"},
    {SKEIN_EINVALID, "EINVALID", "an argument is out of its range"},
    {SKEIN_ENOTFOUND, "ENOTFOUND", "not found"},
    {SKEIN_EEXIST, "EEXIST", "exists already"},
    {SKEIN_EIDENTITY, "EIDENTITY", "belongs to another cluster or node"},
    {SKEIN_ENOLEADER, "ENOLEADER", "no leader within the deadline, nothing was applied"},
    {SKEIN_ENOTLEADER, "ENOTLEADER", "this node does not lead, nothing was applied"},
    {SKEIN_EUNKNOWN, "EUNKNOWN", "the outcome of the write is unknown"},
    {SKEIN_ELATCHED, "ELATCHED", "an earlier disk failure stopped the log"},
    {SKEIN_ENOMEM, "ENOMEM", "a memory budget is used up"},
    {SKEIN_EREFUSED, "EREFUSED", "refused, because it would do harm"},
    {SKEIN_EREMOVED, "EREMOVED", "removed from the cluster"},
    {SKEIN_ESESSION, "ESESSION", "no such session, or it has expired"},
    {SKEIN_ESTALE, "ESTALE", "this node cannot show that its state is fresh enough"},
    {SKEIN_EREPEATED, "EREPEATED", "carried out before, and the reply is not kept any more"},
};

const char *
skein_error_name(int code)
{
    if (code < 0)
        code = code == -__INT_MAX__ - 1 ? 0 : -code;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].code == code)
            return errors[i].name;
    const char *name = code < 4096 ? strerrorname_np(code) : NULL;
    return name ? name : "E?";
}

const char *
skein_error_text(int code)
{
    if (code < 0)
        code = code == -__INT_MAX__ - 1 ? 0 : -code;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        if (errors[i].code == code)
            return errors[i].text;
    const char *text = code < 4096 ? strerrordesc_np(code) : NULL;
    return text ? text : "an unknown error";
}
