/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of confchange/, on one configuration that begins empty:
 *
 *   simple, enter-joint [autoleave=true|false], leave-joint
 *
 * The input is a list of changes: v1 (voter), l1 (learner), r1 (remove), u1 (update). The output is
 * the configuration and what is known of each member's log, or why not. Each command counts as one
 * entry of the log, and a new member is expected to have the log up to there.
 */
#include "etcd_raft/datadriven.h"

#include <inttypes.h>
#include <skein/error.h>
#include <string.h>

#include "base/mem.h"
#include "raft/confchange.h"

#define CHANGES_MAX 1024

struct env {
    struct raft_config config;
    uint64_t next_index[RAFT_MEMBERS_MAX]; /* beside config.ids */
    uint64_t last_index;
};

struct changes {
    struct raft_change items[CHANGES_MAX];
    uint32_t count;
};

static void *
open_env(void)
{
    return mem_zalloc(sizeof(struct env));
}

static void
close_env(void *env)
{
    mem_free(env);
}

/* As Go prints a string's syntax. */
static void
print_quoted(const char *string, struct text *out)
{
    static const char from[] = "\"\\\n\t\r";
    static const char to[] = "\"\\ntr";
    text_printf(out, "\"");
    for (; *string; string++) {
        const char *found = strchr(from, *string);
        if (found)
            text_printf(out, "\\%c", to[found - from]);
        else
            text_printf(out, "%c", *string);
    }
    text_printf(out, "\"");
}

static bool
parse_id(const char *digits, uint64_t *out_id, struct text *out)
{
    if (datadriven_number(digits, out_id))
        return true;
    bool number = *digits && !digits[strspn(digits, "0123456789")];
    text_printf(out, "strconv.ParseUint: parsing ");
    print_quoted(digits, out);
    text_printf(out, number ? ": value out of range" : ": invalid syntax");
    return false;
}

static bool
parse_token(const char *token, struct raft_change *change, struct text *out)
{
    static const char letters[] = "vrul"; /* in the order of enum raft_change_type */
    if (strlen(token) < 2) {
        text_printf(out, "unknown token %s", token);
        return false;
    }
    const char *letter = strchr(letters, token[0]);
    if (!letter) {
        text_printf(out, "unknown input: %s", token);
        return false;
    }
    change->type = (enum raft_change_type)(letter - letters);
    return parse_id(token + 1, &change->node, out);
}

/* False: @out says why, which is then the command's whole output. */
static bool
parse_changes(const char *input, struct changes *changes, struct text *out)
{
    char *copy = mem_strdup(input);
    char *rest = *copy ? copy : NULL;
    bool ok = true;
    while (rest && ok) {
        char *token = strsep(&rest, " ");
        ok = changes->count < CHANGES_MAX;
        if (!ok)
            text_printf(out, "more than %d changes", CHANGES_MAX);
        else
            ok = parse_token(token, &changes->items[changes->count++], out);
    }
    mem_free(copy);
    return ok;
}

static const char *
refusal_message(enum raft_refusal refusal)
{
    switch (refusal) {
    case RAFT_REFUSAL_ALREADY_JOINT:
        return "config is already joint";
    case RAFT_REFUSAL_NO_VOTERS_TO_JOIN:
        return "can't make a zero-voter config joint";
    case RAFT_REFUSAL_NOT_JOINT:
        return "can't leave a non-joint config";
    case RAFT_REFUSAL_SIMPLE_WHILE_JOINT:
        return "can't apply simple config change in joint config";
    case RAFT_REFUSAL_MORE_THAN_ONE:
        return "more than one voter changed without entering joint config";
    case RAFT_REFUSAL_NO_VOTERS_LEFT:
        return "removed all voters";
    case RAFT_REFUSAL_WITNESS:
    case RAFT_REFUSAL_TOO_MANY:
    case RAFT_REFUSAL_NONE:
        break;
    }
    return raft_refusal_text(refusal);
}

static void
print_set(const struct raft_config *config, unsigned role, struct text *out)
{
    const char *between = "";
    text_printf(out, "(");
    for (uint32_t i = 0; i < config->count; i++) {
        if (!(config->roles[i] & role))
            continue;
        text_printf(out, "%s%" PRIu64, between, config->ids[i]);
        between = " ";
    }
    text_printf(out, ")");
}

static void
print_optional_set(const struct raft_config *config, unsigned role, const char *name,
                   struct text *out)
{
    if (!raft_config_count(config, role))
        return;
    text_printf(out, "%s", name);
    print_set(config, role, out);
}

static void
print_env(const struct env *env, struct text *out)
{
    const struct raft_config *config = &env->config;
    text_printf(out, "voters=");
    print_set(config, RAFT_VOTER, out);
    print_optional_set(config, RAFT_OUTGOING, "&&", out);
    print_optional_set(config, RAFT_LEARNER, " learners=", out);
    print_optional_set(config, RAFT_LEARNER_NEXT, " learners_next=", out);
    text_printf(out, "%s\n", config->auto_leave ? " autoleave" : "");
    for (uint32_t i = 0; i < config->count; i++)
        text_printf(out, "%" PRIu64 ": StateProbe match=0 next=%" PRIu64 "%s\n", config->ids[i],
                    env->next_index[i], config->roles[i] & RAFT_LEARNER ? " learner" : "");
}

static void
take(struct env *env, const struct raft_next *next)
{
    struct env old = *env;
    env->config = next->config;
    for (uint32_t i = 0; i < next->config.count; i++) {
        int at = next->fresh[i] ? -1 : raft_config_find(&old.config, next->config.ids[i]);
        uint64_t first = env->last_index ? env->last_index : 1;
        env->next_index[i] = at < 0 ? first : old.next_index[at];
    }
}

static int
parse_auto_leave(const struct datadriven_block *block, bool *out_auto_leave, struct text *out)
{
    if (!block->arg_count)
        return 0;
    const struct datadriven_arg *arg = datadriven_arg_find(block, "autoleave");
    const char *value = arg && arg->value_count == 1 ? arg->values[0] : "";
    *out_auto_leave = strcmp(value, "true") == 0;
    if (*out_auto_leave || strcmp(value, "false") == 0)
        return 0;
    text_printf(out, "takes autoleave=true or autoleave=false and nothing else");
    return -SKEIN_EPROTO;
}

static int
run_changes(struct env *env, const struct datadriven_block *block, const struct changes *changes,
            struct text *out)
{
    struct raft_next next;
    enum raft_refusal refusal;
    bool auto_leave = false;
    if (strcmp(block->command, "simple") == 0) {
        refusal = raft_next_simple(&env->config, changes->items, changes->count, &next);
    } else if (strcmp(block->command, "enter-joint") == 0) {
        int rc = parse_auto_leave(block, &auto_leave, out);
        if (rc)
            return rc;
        refusal =
            raft_next_enter_joint(&env->config, auto_leave, changes->items, changes->count, &next);
    } else if (strcmp(block->command, "leave-joint") == 0) {
        if (changes->count) {
            text_printf(out, "this command takes no input\n");
            return 0;
        }
        refusal = raft_next_leave_joint(&env->config, &next);
    } else {
        text_printf(out, "unknown command");
        return 0;
    }
    if (refusal) {
        text_printf(out, "%s\n", refusal_message(refusal));
        return 0;
    }
    take(env, &next);
    print_env(env, out);
    return 0;
}

static int
run(void *arg, const struct datadriven_block *block, struct text *out)
{
    struct env *env = arg;
    struct changes *changes = mem_zalloc(sizeof(*changes));
    int rc = 0;
    if (parse_changes(block->input, changes, out))
        rc = run_changes(env, block, changes, out);
    env->last_index++;
    mem_free(changes);
    return rc;
}

const struct datadriven_handler confchange_handler = {
    .folder = "confchange", .open = open_env, .run = run, .close = close_env};
