"""What every gallery store must do, as tests for pytest: derive from `StoreContract` and give it your store.

```python
from oneshot_runtime.conformance import StoreContract

class TestMyStore(StoreContract):
    def new_address(self): return f"mystore://localhost/{uuid.uuid4().hex}"   # of a gallery that does not exist yet
    def open(self, address, fingerprint, dim): return MyStore(address, fingerprint, dim)
```

Nothing but `pytest` is needed; `pytest.register_assert_rewrite("oneshot_runtime.conformance")` in a conftest makes its failures
say more.
"""

from oneshot_runtime.conformance.answer_contract import AnswerContract
from oneshot_runtime.conformance.following_contract import FollowingContract
from oneshot_runtime.conformance.sharing_contract import SharingContract
from oneshot_runtime.conformance.write_contract import WriteContract

__all__ = ["StoreContract"]


class StoreContract(WriteContract, FollowingContract, SharingContract, AnswerContract):
    """What every store must do. Derive a class named `Test...`, define `open` and `new_address`, and run pytest.

    Attributes:
        extra_seconds: What to allow for beyond a store on this machine, for one that is far away.
    """
