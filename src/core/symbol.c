/* SPDX-License-Identifier: Apache-2.0 */
#include "core/symbol.h"

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef SKEIN_LIBDW
#include <elfutils/libdwfl.h>
#endif

#include "base/assert.h"

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void
describe_plain(uintptr_t address, char *out, size_t out_bytes)
{
    Dl_info info;
    if (dladdr((void *)address, &info) == 0 || !info.dli_fname)
        snprintf(out, out_bytes, "0x%lx", (unsigned long)address);
    else if (info.dli_sname)
        snprintf(out, out_bytes, "%s", info.dli_sname);
    else
        snprintf(out, out_bytes, "%s+0x%lx", base_name(info.dli_fname),
                 (unsigned long)(address - (uintptr_t)info.dli_fbase));
}

#ifdef SKEIN_LIBDW
/* What is in the files themselves is enough; nothing is asked of a server. */
static int
no_debuginfo(Dwfl_Module *module, void **userdata, const char *module_name, Dwarf_Addr base,
             const char *file_name, const char *debuglink_file, GElf_Word debuglink_crc,
             char **debuginfo_file_name)
{
    return -1;
}

static Dwfl *
session_open(void)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                             .find_debuginfo = no_debuginfo};
    Dwfl *dwfl = dwfl_begin(&callbacks);
    if (dwfl &&
        (dwfl_linux_proc_report(dwfl, getpid()) != 0 || dwfl_report_end(dwfl, NULL, NULL) != 0)) {
        dwfl_end(dwfl);
        return NULL;
    }
    return dwfl;
}

static void
describe(Dwfl *dwfl, uintptr_t address, char *out, size_t out_bytes)
{
    Dwfl_Module *module = dwfl ? dwfl_addrmodule(dwfl, address) : NULL;
    const char *name = module ? dwfl_module_addrname(module, address) : NULL;
    if (!name) {
        describe_plain(address, out, out_bytes);
        return;
    }
    int line = 0;
    Dwfl_Line *where = dwfl_module_getsrc(module, address);
    const char *file = where ? dwfl_lineinfo(where, NULL, &line, NULL, NULL, NULL) : NULL;
    if (file)
        snprintf(out, out_bytes, "%s (%s:%d)", name, base_name(file), line);
    else
        snprintf(out, out_bytes, "%s", name);
}
#endif

void
symbol_list(void *const *frames, size_t frame_count, char *out, size_t out_bytes)
{
    size_t at = 0;
    skein_assert(out_bytes > 0);
    out[0] = '\0';
#ifdef SKEIN_LIBDW
    Dwfl *dwfl = session_open();
#endif
    for (size_t i = 0; i < frame_count; i++) {
        char one[256];
        /* Behind the first one stand addresses of return: the call is before them. */
        uintptr_t address = (uintptr_t)frames[i] - (i > 0);
#ifdef SKEIN_LIBDW
        describe(dwfl, address, one, sizeof(one));
#else
        describe_plain(address, one, sizeof(one));
#endif
        int wanted = snprintf(out + at, out_bytes - at, "%s%s", i ? " < " : "", one);
        if (wanted < 0 || (size_t)wanted >= out_bytes - at)
            break;
        at += (size_t)wanted;
    }
#ifdef SKEIN_LIBDW
    if (dwfl)
        dwfl_end(dwfl);
#endif
}
