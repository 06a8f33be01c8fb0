"""A model of MLServer that sums its input."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class Sums(MLModel):
    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        total = sum(float(np.sum(NumpyCodec.decode_input(item))) for item in payload.inputs)
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("sum", np.array([total]))])
