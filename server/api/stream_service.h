#pragma once

#include "drawbridge/v1/stream.grpc.pb.h"
#include "server/api/call_gate.h"
#include "server/control/fleet_controller.h"
#include "server/store/stream_store.h"

namespace drawbridge {

// Streams, their checkpoints and their gaps. gRPC calls it from its own threads.
class StreamServiceImpl final : public v1::StreamService::CallbackService {
 public:
  StreamServiceImpl(CallGate& gate, FleetController& fleet, StreamStore& streams)
      : gate_(gate), fleet_(fleet), streams_(streams) {}

  grpc::ServerUnaryReactor* GetStream(grpc::CallbackServerContext* context,
                                      const v1::GetStreamRequest* request,
                                      v1::Stream* response) override;
  grpc::ServerUnaryReactor* ListStreams(grpc::CallbackServerContext* context,
                                        const v1::ListStreamsRequest* request,
                                        v1::ListStreamsResponse* response) override;
  grpc::ServerUnaryReactor* ListPartitions(grpc::CallbackServerContext* context,
                                           const v1::ListPartitionsRequest* request,
                                           v1::ListPartitionsResponse* response) override;
  grpc::ServerUnaryReactor* ListGaps(grpc::CallbackServerContext* context,
                                     const v1::ListGapsRequest* request,
                                     v1::ListGapsResponse* response) override;
  grpc::ServerUnaryReactor* ListDeadLetters(grpc::CallbackServerContext* context,
                                            const v1::ListDeadLettersRequest* request,
                                            v1::ListDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* ReadDeadLetters(grpc::CallbackServerContext* context,
                                            const v1::ReadDeadLettersRequest* request,
                                            v1::ReadDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* RetryDeadLetters(grpc::CallbackServerContext* context,
                                             const v1::RetryDeadLettersRequest* request,
                                             v1::RetryDeadLettersResponse* response) override;
  grpc::ServerUnaryReactor* PauseStream(grpc::CallbackServerContext* context,
                                        const v1::PauseStreamRequest* request,
                                        v1::Stream* response) override;
  grpc::ServerUnaryReactor* ResumeStream(grpc::CallbackServerContext* context,
                                         const v1::ResumeStreamRequest* request,
                                         v1::Stream* response) override;

 private:
  // A stream as it is now.
  StatusOr<v1::Stream> Read(const std::string& bridge, const std::string& topic);
  // kNotFound if there is no such bridge, or no such stream of it; empty names mean any.
  Status CheckKnown(const std::string& bridge, const std::string& topic);
  // The same, but for what dead letters are counted of: they outlive their stream.
  Status CheckLettersKnown(const std::string& bridge, const std::string& topic);
  Status SetPaused(const std::string& bridge, const std::string& topic, bool is_paused,
                   const StatusOr<Mutation>& mutation, v1::Stream& response);

  CallGate& gate_;
  FleetController& fleet_;
  StreamStore& streams_;
};

}  // namespace drawbridge
