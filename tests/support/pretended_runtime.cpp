// A CUDA runtime of one device whose memory is the host's, for tests without a GPU: see pretended_gpu.py.
// Work is done when it is asked for, so streams and events have nothing to wait for. Kernels are never launched.
#include <cuda_runtime_api.h>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#define X extern "C" __attribute__((visibility("default"))) cudaError_t
static std::mutex M; static std::map<char*, std::pair<size_t, int>>& R() { static auto* r = new std::map<char*, std::pair<size_t, int>>; return *r; }
static int kind(const void* p) { std::lock_guard<std::mutex> g(M); auto i = R().upper_bound((char*)p); if (i == R().begin()) return 0; --i; return (char*)p < i->first + i->second.first ? i->second.second : 0; }
static cudaError_t get(void** p, size_t n, int k) { *p = aligned_alloc(512, (n + 511) / 512 * 512); memset(*p, 0xFF, n); std::lock_guard<std::mutex> g(M); R()[(char*)*p] = {n, k}; return cudaSuccess; }
static cudaError_t drop(void* p) { { std::lock_guard<std::mutex> g(M); R().erase((char*)p); } free(p); return cudaSuccess; }
X cudaGetDeviceCount(int* n) { *n = 1; return cudaSuccess; }
X cudaGetDevice(int* n) { *n = 0; return cudaSuccess; }
X cudaSetDevice(int) { return cudaSuccess; }
X cudaDriverGetVersion(int* v) { *v = CUDART_VERSION; return cudaSuccess; }
X cudaRuntimeGetVersion(int* v) { *v = CUDART_VERSION; return cudaSuccess; }
X cudaDeviceSynchronize() { return cudaSuccess; }
X cudaDeviceGetStreamPriorityRange(int* a, int* b) { *a = 0; *b = -5; return cudaSuccess; }
X cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int) { *v = a == cudaDevAttrComputeCapabilityMajor ? 9 : 0; return cudaSuccess; }
X cudaGetDeviceProperties(cudaDeviceProp* p, int) { memset(p, 0, sizeof *p); strcpy(p->name, "Pretended"); p->totalGlobalMem = 8ull << 30; p->major = 9; p->warpSize = 32; p->multiProcessorCount = 1; p->maxThreadsPerBlock = 1024; p->maxThreadsPerMultiProcessor = 2048; return cudaSuccess; }
X cudaMemGetInfo(size_t* f, size_t* t) { *f = *t = 8ull << 30; return cudaSuccess; }
X cudaMalloc(void** p, size_t n) { return get(p, n, 1); }
X cudaFree(void* p) { return drop(p); }
X cudaHostAlloc(void** p, size_t n, unsigned) { return get(p, n, 2); }
X cudaFreeHost(void* p) { return drop(p); }
X cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) { memset(a, 0, sizeof *a); int k = kind(p); a->type = k == 1 ? cudaMemoryTypeDevice : k == 2 ? cudaMemoryTypeHost : cudaMemoryTypeUnregistered; return cudaSuccess; }
X cudaMemcpyAsync(void* d, const void* s, size_t n, cudaMemcpyKind, cudaStream_t) { memmove(d, s, n); return cudaSuccess; }
X cudaMemcpy(void* d, const void* s, size_t n, cudaMemcpyKind) { memmove(d, s, n); return cudaSuccess; }
X cudaMemsetAsync(void* d, int v, size_t n, cudaStream_t) { memset(d, v, n); return cudaSuccess; }
X cudaStreamCreateWithPriority(cudaStream_t* s, unsigned, int) { *s = (cudaStream_t)malloc(64); return cudaSuccess; }
X cudaStreamQuery(cudaStream_t) { return cudaSuccess; }
X cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
X cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
X cudaStreamIsCapturing(cudaStream_t, cudaStreamCaptureStatus* s) { *s = cudaStreamCaptureStatusNone; return cudaSuccess; }
X cudaStreamGetCaptureInfo(cudaStream_t, cudaStreamCaptureStatus* s, unsigned long long* i, cudaGraph_t* g, const cudaGraphNode_t**, const cudaGraphEdgeData**, size_t*) { *s = cudaStreamCaptureStatusNone; if (i) *i = 0; if (g) *g = nullptr; return cudaSuccess; }
X cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) { return cudaErrorNotSupported; }
X cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
X cudaEventCreateWithFlags(cudaEvent_t* e, unsigned) { *e = (cudaEvent_t)malloc(64); return cudaSuccess; }
X cudaEventDestroy(cudaEvent_t e) { free(e); return cudaSuccess; }
X cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
X cudaEventRecordWithFlags(cudaEvent_t, cudaStream_t, unsigned) { return cudaSuccess; }
X cudaEventQuery(cudaEvent_t) { return cudaSuccess; }
X cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
X cudaEventElapsedTime(float* ms, cudaEvent_t, cudaEvent_t) { *ms = 1; return cudaSuccess; }
X cudaGetLastError() { return cudaSuccess; }
X cudaPeekAtLastError() { return cudaSuccess; }
X __cudaLaunchKernel(cudaKernel_t, dim3, dim3, void**, size_t, cudaStream_t) { return cudaErrorNoKernelImageForDevice; }
X cudaLaunchKernelExC(const cudaLaunchConfig_t*, const void*, void**) { return cudaErrorNoKernelImageForDevice; }
