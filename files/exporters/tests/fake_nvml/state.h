/* What the state file says, as numbers. */
#ifndef FAKE_NVML_STATE_H
#define FAKE_NVML_STATE_H

#include <stdbool.h>
#include <stddef.h>

#include "abi.h"
#include "calls.h"

enum { MAX_GPUS = 16, MAX_LINKS = 36, MAX_MIGS = 7, MAX_GPM = 100, TEXT_SIZE = 256 };

/* A value that may grow by itself (`1000 + 5/s`), or be an error instead (`NOT_SUPPORTED`). */
struct number {
    double base, rate, grown;
    nvmlReturn_t error;
    bool growing, automatic;
};

/* Keys of a GPU, and what NVML's unit of each is in the file's unit. */
#define GPU_NUMBERS(X) \
    X(brand, 1) X(architecture, 1) X(cuda_capability, 10) X(minor, 1) X(pci_device_id, 1) X(pci_subsystem_id, 1) \
    X(memory_total, 1) X(memory_reserved, 1) X(memory_used, 1) X(bar1_total, 1) X(bar1_used, 1) \
    X(utilization, 1) X(memory_utilization, 1) X(encoder_utilization, 1) X(decoder_utilization, 1) \
    X(temperature, 1) X(memory_temperature, 1) X(temperature_margin, 1) \
    X(threshold_shutdown, 1) X(threshold_slowdown, 1) X(threshold_memory_max, 1) X(threshold_gpu_max, 1) \
    X(power, 1e3) X(power_average, 1e3) X(power_instant, 1e3) \
    X(module_power_average, 1e3) X(module_power_instant, 1e3) X(memory_power_average, 1e3) \
    X(memory_power_instant, 1e3) X(power_limit, 1e3) X(power_limit_enforced, 1e3) X(power_limit_default, 1e3) \
    X(power_limit_min, 1e3) X(power_limit_max, 1e3) X(energy, 1e3) X(fan_speed, 1) \
    X(clock_graphics, 1) X(clock_sm, 1) X(clock_memory, 1) X(clock_video, 1) \
    X(clock_max_graphics, 1) X(clock_max_sm, 1) X(clock_max_memory, 1) X(clock_max_video, 1) \
    X(clock_event_reasons, 1) X(clock_event_reasons_supported, 1) \
    X(throttle_power_cap, 1e9) X(throttle_sync_boost, 1e9) X(throttle_sw_thermal, 1e9) X(throttle_hw_thermal, 1e9) \
    X(throttle_power_brake, 1e9) \
    X(performance_state, 1) X(compute_mode, 1) X(persistence_mode, 1) X(display_mode, 1) X(display_active, 1) \
    X(ecc_mode, 1) X(ecc_mode_pending, 1) X(ecc_corrected_volatile, 1) X(ecc_corrected_aggregate, 1) \
    X(ecc_uncorrected_volatile, 1) X(ecc_uncorrected_aggregate, 1) \
    X(remapped_correctable, 1) X(remapped_uncorrectable, 1) X(remapped_pending, 1) X(remapped_failure, 1) \
    X(pcie_replays, 1) X(pcie_generation, 1) X(pcie_generation_max, 1) X(pcie_generation_max_gpu, 1) \
    X(pcie_width, 1) X(pcie_width_max, 1) X(pcie_transmit, 1 / 1024.0) X(pcie_receive, 1 / 1024.0) \
    X(nvlinks, 1) X(nvlink_speed, 1) X(fabric_state, 1) X(fabric_status, 1) X(fabric_clique, 1) \
    X(fabric_health, 1) X(fabric_health_summary, 1) X(recovery_action, 1) \
    X(gpm, 1) X(mig_mode, 1) X(mig_mode_pending, 1) X(event_types, 1)

#define LINK_NUMBERS(X) \
    X(active, 1) X(transmit, 1 / 1024.0) X(receive, 1 / 1024.0) X(replays, 1) X(recoveries, 1) X(crc_errors, 1) \
    X(field_state, 1)

#define MIG_NUMBERS(X) \
    X(gpu_instance, 1) X(compute_instance, 1) X(slices, 1) X(multiprocessors, 1) \
    X(memory_total, 1) X(memory_reserved, 1) X(memory_used, 1)

#define GPU_TEXTS(X) X(name) X(uuid) X(serial) X(vbios) X(pci_bus_id)
#define MIG_TEXTS(X) X(profile) X(uuid)

#define X(name, scale) N_##name,
enum { GPU_NUMBERS(X) N_COUNT };
#undef X
#define X(name, scale) L_##name,
enum { LINK_NUMBERS(X) L_COUNT };
#undef X
#define X(name, scale) M_##name,
enum { MIG_NUMBERS(X) M_COUNT };
#undef X
#define X(name) T_##name,
enum { GPU_TEXTS(X) T_COUNT };
#undef X
#define X(name) MT_##name,
enum { MIG_TEXTS(X) MT_COUNT };
#undef X

/* What is asked of every call of a function. */
struct knob {
    nvmlReturn_t error;
    double hang;
};

struct mig {
    bool present;
    unsigned int index;
    struct number number[M_COUNT];
    struct number gpm[MAX_GPM];
    char text[MT_COUNT][TEXT_SIZE];
};

struct process {
    unsigned int pid;
    bool graphics;
    unsigned int mig;
    unsigned int sm, memory_utilization;
    unsigned long long memory;
    char name[TEXT_SIZE];
};

struct gpu {
    unsigned int slot;
    bool present;
    nvmlReturn_t error;
    const char *model;
    struct number number[N_COUNT];
    struct number link[MAX_LINKS][L_COUNT];
    struct number gpm[MAX_GPM];
    struct mig mig[MAX_MIGS];
    struct knob knob[CALL_COUNT];
    char text[T_COUNT][TEXT_SIZE];
    struct process *processes;
    unsigned int process_count, process_room;
    int process_drift;
};

struct state {
    unsigned int count, generation, cuda;
    double delay;
    nvmlReturn_t init_error;
    char driver[TEXT_SIZE], nvml[TEXT_SIZE];
    struct knob knob[CALL_COUNT];
    double loaded, elapsed;
    struct gpu gpu[];
};

/* state.c: the state is shared by all threads; whoever looks at it holds the lock. */
extern struct state *state;
void state_refresh(void);
const char *state_path(void);
double seconds_now(void);
nvmlReturn_t number_read(const struct number *number, double *value);
nvmlReturn_t number_u32(const struct number *number, unsigned int *value);
nvmlReturn_t number_u64(const struct number *number, unsigned long long *value);

/* parse.c */
struct state *parse(char *text);

#endif
