// Runs a program for as long as it takes, and ends whatever came of it: when that ends, when it is interrupted, when who started it dies.
// A subreaper, so that what was orphaned on purpose (an actuator's services, a daemon) is its descendant all the same.
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>
#include <string>
#include <vector>

namespace {

constexpr int TO_END_S = 10;  // what an interrupted program may take

struct Process {
  pid_t parent;
  bool isOver;  // awaits its parent
  std::string name;
};

std::map<pid_t, Process> processes() {
  std::map<pid_t, Process> all;
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return all;
  while (dirent* entry = readdir(proc)) {
    pid_t pid = atoi(entry->d_name);
    if (pid <= 0) continue;
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE* file = fopen(path, "re");
    if (file == nullptr) continue;
    size_t length = fread(line, 1, sizeof line - 1, file);
    fclose(file);
    line[length] = '\0';
    char *open = strchr(line, '('), *close = strrchr(line, ')');
    char state;
    int parent;
    if (open == nullptr || close == nullptr || sscanf(close + 1, " %c %d", &state, &parent) != 2) continue;
    all[pid] = {parent, state == 'Z' || state == 'X', std::string(open + 1, close)};
  }
  closedir(proc);
  return all;
}

/** Those that came of this process, however often removed. */
std::vector<std::pair<pid_t, std::string>> descendants() {
  const auto all = processes();
  std::vector<std::pair<pid_t, std::string>> found;
  for (const auto& [pid, process] : all) {
    if (process.isOver) continue;
    auto at = all.find(process.parent);
    while (at != all.end() && at->first != getpid()) at = all.find(at->second.parent);
    if (at != all.end()) found.emplace_back(pid, process.name);
  }
  return found;
}

void reap() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

/** Ends them all, those too that are born, or get another parent, while it looks. */
void sweep(bool tells) {
  for (int round = 0, empty = 0; round < 200; round++) {
    const auto left = descendants();
    empty = left.empty() ? empty + 1 : 0;
    if (empty == 3) return;
    for (const auto& [pid, name] : left) {
      if (tells && round == 0) fprintf(stderr, "keeper: ended %s (process %d), which the tests left behind\n", name.c_str(), pid);
      kill(pid, SIGKILL);
    }
    usleep(20'000);
    reap();
  }
  fprintf(stderr, "keeper: some processes do not end\n");
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    fprintf(stderr, "keeper: needs a program to run\n");
    return 2;
  }
  const pid_t starter = getppid();
  prctl(PR_SET_CHILD_SUBREAPER, 1);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != starter) return 1;
  sigset_t awaited, before;
  sigemptyset(&awaited);
  for (int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&awaited, signal);
  sigprocmask(SIG_BLOCK, &awaited, &before);
  const pid_t child = fork();
  if (child < 0) {
    perror("keeper: fork");
    return 1;
  }
  if (child == 0) {
    sigprocmask(SIG_SETMASK, &before, nullptr);
    execvp(words[1], words + 1);
    perror(words[1]);
    _exit(127);
  }
  int result = 1, interruptedBy = 0;
  for (bool isOver = false; !isOver;) {
    const timespec limit = {TO_END_S, 0};
    const int signal = interruptedBy == 0 ? sigwaitinfo(&awaited, nullptr) : sigtimedwait(&awaited, nullptr, &limit);
    if (signal == SIGCHLD) {
      int status;
      for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        if (pid != child) continue;
        isOver = true;
        result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      }
    } else if (signal > 0) {
      isOver = interruptedBy != 0;  // asked twice
      interruptedBy = signal;
      kill(child, SIGTERM);
    } else {
      isOver = true;
    }
  }
  sweep(interruptedBy == 0);
  return interruptedBy == 0 ? result : 128 + interruptedBy;
}
