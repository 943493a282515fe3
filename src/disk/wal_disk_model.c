/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/wal_disk_model.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"

#define MODEL_FILE_BYTES (1u << 16)

void
disk_model_init(struct disk_model *model)
{
    memset(model, 0, sizeof(*model));
    model->past_count = 1;
}

void
disk_model_deinit(struct disk_model *model)
{
    for (int i = 0; i < model->file_count; i++) {
        mem_free(model->files[i].now);
        mem_free(model->files[i].durable);
    }
    memset(model, 0, sizeof(*model));
}

static int
name_find(const struct model_names *names, const char *name)
{
    for (int i = 0; i < names->count; i++)
        if (strcmp(names->names[i], name) == 0)
            return i;
    return -1;
}

static void
name_drop(struct model_names *names, int at)
{
    names->count--;
    memcpy(names->names[at], names->names[names->count], sizeof(names->names[0]));
    names->files[at] = names->files[names->count];
}

static void
name_put(struct model_names *names, const char *name, int file)
{
    int at = name_find(names, name);
    if (at < 0) {
        assert_true(names->count < MODEL_NAMES_MAX);
        at = names->count++;
    }
    snprintf(names->names[at], sizeof(names->names[0]), "%s", name);
    names->files[at] = file;
}

static void
names_changed(struct disk_model *model)
{
    assert_true(model->past_count < MODEL_PENDING_MAX);
    model->past[model->past_count++] = model->now;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static struct model_file *
file_of(struct disk_model *model, const char *path)
{
    int at = name_find(&model->now, base_name(path));
    return at < 0 ? NULL : &model->files[model->now.files[at]];
}

static void
file_open(struct disk_model *model, const struct disk_test_event *event)
{
    struct model_file *file = file_of(model, event->path);
    if (event->flags & SKEIN_FILE_DIRECTORY)
        return;
    if (!file && (event->flags & SKEIN_FILE_CREATE)) {
        assert_true(model->file_count < MODEL_FILES_MAX);
        file = &model->files[model->file_count];
        file->now = mem_zalloc(MODEL_FILE_BYTES);
        file->durable = mem_zalloc(MODEL_FILE_BYTES);
        name_put(&model->now, base_name(event->path), model->file_count++);
        names_changed(model);
    }
    if (event->flags & SKEIN_FILE_TRUNC) {
        file->now_bytes = 0;
        memset(file->now, 0, MODEL_FILE_BYTES);
    }
}

static void
file_durable(struct model_file *file, uint64_t offset, uint64_t bytes)
{
    memcpy(file->durable + offset, file->now + offset, bytes);
    if (file->durable_bytes < offset + bytes)
        file->durable_bytes = offset + bytes;
}

static void
file_write(struct model_file *file, const struct disk_test_event *event, bool complete)
{
    assert_true(event->offset + event->bytes <= MODEL_FILE_BYTES);
    memcpy(file->now + event->offset, event->data, event->bytes);
    if (file->now_bytes < event->offset + event->bytes)
        file->now_bytes = event->offset + event->bytes;
    if (complete && (event->flags & SKEIN_FILE_DSYNC))
        file_durable(file, event->offset, event->bytes);
}

static void
synced(struct disk_model *model, const struct disk_test_event *event)
{
    struct model_file *file = file_of(model, event->path);
    if (file) {
        memcpy(file->durable, file->now, MODEL_FILE_BYTES);
        file->durable_bytes = file->now_bytes;
    } else {
        model->past[0] = model->now;
        model->past_count = 1;
    }
}

static void
resize(struct model_file *file, uint64_t bytes)
{
    if (bytes < file->now_bytes)
        memset(file->now + bytes, 0, MODEL_FILE_BYTES - bytes);
    file->now_bytes = bytes;
}

void
disk_model_apply(struct disk_model *model, const struct disk_test_event *event, bool complete)
{
    struct model_file *file = file_of(model, event->path);
    int at = name_find(&model->now, base_name(event->path));
    if (event->kind == BACKEND_OPEN) {
        file_open(model, event);
    } else if (event->kind == BACKEND_WRITE) {
        file_write(file, event, complete);
    } else if (event->kind == BACKEND_SYNC && complete) {
        synced(model, event);
    } else if (event->kind == BACKEND_ALLOCATE && event->bytes > file->now_bytes) {
        resize(file, event->bytes);
    } else if (event->kind == BACKEND_TRUNCATE) {
        resize(file, event->bytes);
    } else if (event->kind == BACKEND_RENAME) {
        name_put(&model->now, base_name(event->path2), model->now.files[at]);
        name_drop(&model->now, name_find(&model->now, base_name(event->path)));
        names_changed(model);
    } else if (event->kind == BACKEND_UNLINK) {
        name_drop(&model->now, at);
        names_changed(model);
    }
}

static void
file_crash(struct model_file *file, struct prng *prng)
{
    uint64_t bytes = prng_chance(prng, 1, 2) ? file->now_bytes : file->durable_bytes;
    for (uint64_t at = 0; at < MODEL_FILE_BYTES; at += 512)
        if (prng_chance(prng, 1, 2))
            memcpy(file->durable + at, file->now + at, 512);
    memset(file->durable + bytes, 0, MODEL_FILE_BYTES - bytes);
    memcpy(file->now, file->durable, MODEL_FILE_BYTES);
    file->now_bytes = file->durable_bytes = bytes;
}

void
disk_model_crash(struct disk_model *model, struct prng *prng)
{
    struct disk_model *left = mem_alloc(sizeof(*left));
    disk_model_init(left);
    const struct model_names *names = &model->past[prng_below(prng, (uint64_t)model->past_count)];
    for (int i = 0; i < names->count; i++) {
        struct model_file *file = &model->files[names->files[i]];
        file_crash(file, prng);
        left->files[left->file_count] = *file;
        *file = (struct model_file){0};
        name_put(&left->now, names->names[i], left->file_count++);
    }
    left->past[0] = left->now;
    disk_model_deinit(model);
    *model = *left;
    mem_free(left);
}

void
disk_model_store(const struct disk_model *model, const char *dir)
{
    char path[512];
    disk_test_remove(dir);
    assert_int_equal(mkdir(dir, 0755), 0);
    for (int i = 0; i < model->now.count; i++) {
        const struct model_file *file = &model->files[model->now.files[i]];
        snprintf(path, sizeof(path), "%s/%s", dir, model->now.names[i]);
        disk_test_write(path, file->now, file->now_bytes);
    }
}
