/* SPDX-License-Identifier: Apache-2.0 */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

/*
 * The program's commands. Each gets its own arguments: argv[0] is the command's name.
 * Exit status: 0 done; 1 failed, with one line on standard error that says what to do; 64 the
 * command line is wrong. `sim` and `check-history` have their own, documented in
 * their help.
 */
int cmd_serve(int argc, char **argv);
int cmd_dev(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_set(int argc, char **argv);
int cmd_del(int argc, char **argv);
int cmd_cluster(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_iotune(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_snapshot(int argc, char **argv);
int cmd_log(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_check_history(int argc, char **argv);
int cmd_version(int argc, char **argv);

#endif
