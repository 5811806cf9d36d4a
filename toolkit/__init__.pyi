from .artifact import load_model as load_model
from .artifact import read_card as read_card
from .artifact import save as save
from .catalogue import contestant as contestant
from .classifier import Classifier as Classifier
from .comparison import compare as compare
from .data import Dataset as Dataset
from .data import Split as Split
from .data import load as load
from .data.audit import Audit as Audit
from .data.audit import audit as audit
from .errors import InputError as InputError
from .evaluation import Evaluation as Evaluation
from .evaluation import evaluate as evaluate
from .fitting import Fitted as Fitted
from .fitting import train as train
from .leaderboard import Comparison as Comparison
from .pipeline import show_augmented as show_augmented
from .runs import read_predictions as read_predictions
from .training import KerasClassifier as KerasClassifier
from .training import Recipe as Recipe
from .training.rates import find_learning_rate as find_learning_rate
from .tuning import tune as tune

__version__: str
