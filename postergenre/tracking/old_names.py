"""Names that runs logged by earlier versions have in MLflow. They are read; nothing writes them."""

from typing import Any

# For `delivery.LATE_TAG`.
LATE_TAG = "postergenre.restored"
# For `test_predictions.FILE`.
TEST_PREDICTIONS = "test_answers.csv.gz"


def translate_metadata(metadata: dict[str, Any]) -> dict[str, Any]:
    """The metadata of a logged model with today's names."""
    if "common" not in metadata:
        return metadata
    return {name: value for name, value in metadata.items() if name != "common"} | {
        "global_threshold": metadata["common"]
    }
