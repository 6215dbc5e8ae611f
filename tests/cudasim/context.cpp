/* Contexts: by hand on x86-64 and aarch64 (5 to 10 ns a switch), by ucontext elsewhere (200 ns: it
 * saves the signal mask with a system call). */
#include "internal.h"

#if !defined(SIM_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define SIM_UCONTEXT 1
#endif

#ifdef SIM_UCONTEXT
#include <ucontext.h>
#endif

#if !defined(SIM_UCONTEXT)
/* Saves what a call must preserve on the stack, leaves the stack pointer in *save, and continues on
 * the stack `to`. On x86-64 the return address is popped and jumped to: a `ret` that never matches
 * its call would spoil the processor's prediction of every later one. */
extern "C" void sim_context_switch(void **save, void *to);
#endif

#if defined(SIM_UCONTEXT)
#elif defined(__x86_64__)
asm(R"(
.text
.p2align 4
.globl sim_context_switch
.type sim_context_switch, @function
sim_context_switch:
  popq %rdx
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  pushq %rdx
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %rdx
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  jmp *%rdx
.size sim_context_switch, .-sim_context_switch
)");
#else
asm(R"(
.text
.p2align 4
.globl sim_context_switch
.type sim_context_switch, %function
sim_context_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x2, sp
  str x2, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size sim_context_switch, .-sim_context_switch
)");
#endif

namespace sim {

#if defined(SIM_UCONTEXT)

void context_make(context *c, char *stack_top, void (*entry)()) {
  /* The context itself lives at the top of the stack it describes. */
  ucontext_t *u = (ucontext_t *)(((uintptr_t)stack_top - sizeof *u) & ~(uintptr_t)63);
  getcontext(u);
  size_t room = stack_bytes - 3 * 4096 - sizeof *u;
  u->uc_stack.ss_sp = (char *)u - room;
  u->uc_stack.ss_size = room;
  u->uc_link = nullptr;
  makecontext(u, entry, 0);
  c->stack_pointer = u;
}

void context_switch(context *from, context *to) {
  ucontext_t here;
  from->stack_pointer = &here;
  swapcontext(&here, (ucontext_t *)to->stack_pointer);
}

#else

void context_make(context *c, char *stack_top, void (*entry)()) {
  void **s = (void **)((uintptr_t)stack_top & ~(uintptr_t)15);
#if defined(__x86_64__)
  *--s = nullptr; /* as if called: the stack is 8 bytes off 16 at the entry */
  for (int i = 0; i < 6; i++) *--s = nullptr;
  *--s = (void *)entry;
#else
  s -= 20;
  for (int i = 0; i < 20; i++) s[i] = nullptr;
  s[11] = (void *)entry; /* x30 */
#endif
  c->stack_pointer = s;
}

void context_switch(context *from, context *to) {
  sim_context_switch(&from->stack_pointer, to->stack_pointer);
}

#endif

}  // namespace sim
